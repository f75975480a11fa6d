// Package burnin tests a server with the tools of the trade: stress-ng for processors,
// memtester for memory, fio for disks. It writes to every disk.
package burnin

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"ferrodur/bootsvc/job"
	"ferrodur/report"
)

// ErrProfile says that a burn-in profile is not known.
var ErrProfile = errors.New("no such burn-in profile: use short")

// Runner runs a program and returns what it printed, standard output and error apart.
type Runner func(ctx context.Context, name string, arguments ...string) (stdout, stderr []byte, err error)

// Command is the Runner that runs programs.
func Command(ctx context.Context, name string, arguments ...string) ([]byte, []byte, error) {
	command := exec.CommandContext(ctx, name, arguments...)
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	return []byte(stdout.String()), []byte(stderr.String()), err
}

// memoryMiB is how much memory memtester tests: it takes seconds a MiB where processors
// are emulated, and minutes a GiB elsewhere.
const memoryMiB = 4

// Run tests the processors, the memory and every disk. A tool that fails makes its test
// fail, and the burn-in; a tool that is missing, or a profile that is not known, is an
// error.
func Run(ctx context.Context, spec job.BurnInSpec, hardware report.Hardware, run Runner, progress func(done, total uint64, what string)) (report.BurnIn, error) {
	if spec.Profile != "short" {
		return report.BurnIn{}, fmt.Errorf("%w (asked for %q)", ErrProfile, spec.Profile)
	}
	seconds := max(1, spec.Seconds)
	burnIn := report.BurnIn{Profile: spec.Profile, Started: time.Now().UTC(), Passed: true}
	plan := []test{stressCPU(seconds), stressMemory(seconds), testMemory()}
	for _, disk := range hardware.Disks {
		plan = append(plan, testDisk(disk, seconds))
	}
	total := uint64(len(plan) * seconds)
	for i, t := range plan {
		progress(uint64(i*seconds), total, t.name+" of "+t.component)
		result, err := t.run(ctx, run, seconds)
		if err != nil {
			return burnIn, err
		}
		burnIn.Tests = append(burnIn.Tests, result)
		burnIn.Passed = burnIn.Passed && result.Passed
	}
	progress(total, total, "")
	burnIn.Seconds = time.Since(burnIn.Started).Seconds()
	return burnIn, nil
}

// test is one tool's run against one component.
type test struct {
	name, component string
	command         []string
	// metrics reads the tool's own figures, and an error that its exit code does not tell.
	metrics func(stdout, stderr []byte) (map[string]float64, error)
}

// slack is how much longer than asked a tool may take: under emulation it starts slowly.
const slack = 5 * time.Minute

func (t test) run(ctx context.Context, run Runner, seconds int) (report.Test, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+slack)
	defer cancel()
	started := time.Now()
	stdout, stderr, err := run(ctx, t.command[0], t.command[1:]...)
	result := report.Test{Name: t.name, Component: t.component, Seconds: time.Since(started).Seconds()}
	if errors.Is(err, exec.ErrNotFound) {
		return result, fmt.Errorf("burn-in: %w: the boot image is incomplete", err)
	}
	if err != nil {
		result.Detail = fmt.Sprintf("%v: %s", err, lastLine(stderr, stdout))
		return result, nil
	}
	result.Metrics, err = t.metrics(stdout, stderr)
	if err != nil {
		result.Detail = err.Error()
		return result, nil
	}
	result.Passed = true
	return result, nil
}

func stressCPU(seconds int) test {
	return test{
		name: "stress-ng", component: "cpu", metrics: stressMetrics,
		command: []string{"stress-ng", "--cpu", fmt.Sprint(runtime.NumCPU()), "--verify", "--metrics-brief", "--timeout", fmt.Sprintf("%ds", seconds)},
	}
}

func stressMemory(seconds int) test {
	return test{
		name: "stress-ng", component: "memory", metrics: stressMetrics,
		command: []string{"stress-ng", "--vm", "1", "--vm-bytes", "10%", "--verify", "--metrics-brief", "--timeout", fmt.Sprintf("%ds", seconds)},
	}
}

func testMemory() test {
	return test{
		name: "memtester", component: "memory", command: []string{"memtester", fmt.Sprintf("%dM", memoryMiB), "1"},
		metrics: func([]byte, []byte) (map[string]float64, error) {
			return map[string]float64{"tested_mib": memoryMiB}, nil
		},
	}
}

func testDisk(disk report.Disk, seconds int) test {
	return test{
		name: "fio", component: disk.Path, metrics: fioMetrics,
		command: []string{
			"fio", "--name=burn-in", "--filename=" + disk.Path, "--rw=randrw", "--bs=64k", "--size=64m", "--direct=1", "--ioengine=psync",
			"--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--time_based", fmt.Sprintf("--runtime=%d", seconds), "--output-format=json",
		},
	}
}

// lastLine is the last line that a tool printed, on the first stream that has one.
func lastLine(streams ...[]byte) string {
	for _, stream := range streams {
		lines := strings.Split(strings.TrimSpace(string(stream)), "\n")
		if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
			return last
		}
	}
	return "it printed nothing"
}
