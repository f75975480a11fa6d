// Package drivers loads the kernel's modules for the devices of a server, as udev and
// modprobe do on a system that has them.
package drivers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Set is the modules of an initramfs: depmod's modules.dep and modules.alias
// (modules.dep(5), depmod.d(5)), and the modules.
type Set struct {
	root    string
	needs   map[string][]string // file → files that are loaded before it, in that order
	files   map[string]string   // module name → file
	aliases []alias
	loaded  map[string]bool
}

type alias struct{ pattern, module string }

// Open reads the modules' tables from the one folder below root that a boot image has.
func Open(root string) (*Set, error) {
	folders, err := filepath.Glob(filepath.Join(root, "*", "modules.dep"))
	if err != nil || len(folders) != 1 {
		return nil, fmt.Errorf("%s holds the modules of %d kernels, not of one", root, len(folders))
	}
	s := &Set{root: filepath.Dir(folders[0]), needs: map[string][]string{}, files: map[string]string{}, loaded: map[string]bool{}}
	dependencies, err := os.ReadFile(folders[0])
	if err != nil {
		return nil, err
	}
	aliases, err := os.ReadFile(filepath.Join(s.root, "modules.alias"))
	if err != nil {
		return nil, err
	}
	s.parse(string(dependencies), string(aliases))
	return s, nil
}

func (s *Set) parse(dependencies, aliases string) {
	for line := range strings.Lines(dependencies) {
		file, needs, found := strings.Cut(line, ":")
		if !found {
			continue
		}
		before := strings.Fields(needs)
		slices.Reverse(before) // depmod lists the innermost last
		s.needs[file] = before
		s.files[moduleName(file)] = file
	}
	for line := range strings.Lines(aliases) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "alias" {
			s.aliases = append(s.aliases, alias{pattern: fields[1], module: fields[2]})
		}
	}
}

// moduleName is a module's name in the kernel's form, in which hyphens are underscores.
func moduleName(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(path.Base(file), ".ko"), "-", "_")
}

// Load loads the modules of all devices that are there, and of those that appear with
// them. What could not be loaded is told; the others are loaded all the same.
func (s *Set) Load() error {
	var errs []error
	for {
		before := len(s.loaded)
		present, err := devices("/sys")
		if err != nil {
			return err
		}
		for _, module := range s.wanted(present) {
			if err := s.insert(s.files[module]); err != nil {
				errs = append(errs, err)
			}
		}
		if len(s.loaded) == before {
			return errors.Join(errs...)
		}
	}
}

// wanted lists the modules whose aliases match a device.
func (s *Set) wanted(present []string) []string {
	var modules []string
	for _, a := range s.aliases {
		if s.files[a.module] == "" || slices.Contains(modules, a.module) {
			continue
		}
		if slices.ContainsFunc(present, func(device string) bool {
			match, err := path.Match(a.pattern, device)
			return err == nil && match
		}) {
			modules = append(modules, a.module)
		}
	}
	return modules
}

// devices collects the names by which the kernel's buses describe what they have found
// (Documentation/ABI/testing/sysfs-bus-pci and others, "modalias").
func devices(sys string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(filepath.Join(sys, "devices"), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "modalias" {
			return nil // a device may go while it is looked at
		}
		text, err := os.ReadFile(name)
		if device := strings.TrimSpace(string(text)); err == nil && device != "" && !slices.Contains(found, device) {
			found = append(found, device)
		}
		return nil
	})
	return found, err
}

// insert loads a module after those that it needs.
func (s *Set) insert(file string) error {
	for _, f := range append(slices.Clone(s.needs[file]), file) {
		if s.loaded[f] {
			continue
		}
		s.loaded[f] = true // tried once, whatever came of it
		if err := insert(filepath.Join(s.root, f)); err != nil {
			return fmt.Errorf("load module %s: %w", moduleName(f), err)
		}
	}
	return nil
}

// insert is finit_module(2). EEXIST: it is loaded; ENODEV: its device is not there.
func insert(file string) error {
	module, err := os.Open(file)
	if err != nil {
		return err
	}
	defer module.Close()
	err = unix.FinitModule(int(module.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
