// Package background says that terminals are dark, before anybody asks them. Bubbletea asks
// when a program starts, of whatever it does, and waits five seconds for a terminal that does
// not answer, such as a serial console. Packages are initialised in the order of their import
// paths (The Go Programming Language Specification, "Program initialization"): this one
// comes before github.com.
package background

import "github.com/charmbracelet/lipgloss"

func init() { lipgloss.SetHasDarkBackground(true) }
