// Command starter is the CLI of Ferrodur's operators, and of their automation.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs one command and returns its exit code.
func run(arguments []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cli := &cli{out: stdout}
	root := cli.command()
	root.SetArgs(arguments)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	cli.close()
	if err == nil {
		return exitOK
	}
	if !cli.started {
		err = usageError{err}
	}
	cli.complain(stderr, err)
	return exitCode(ctx, err)
}
