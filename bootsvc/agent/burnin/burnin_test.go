package burnin_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"ferrodur/bootsvc/agent/burnin"
	"ferrodur/bootsvc/job"
	"ferrodur/report"
)

// What the tools print, taken down from a run of Debian 12's in a virtual server.
const (
	stressOutput = `stress-ng: info:  [112] setting to a 2 second run per stressor
stress-ng: info:  [112] dispatching hogs: 2 cpu
stress-ng: info:  [112] stressor       bogo ops real time  usr time  sys time   bogo ops/s     bogo ops/s
stress-ng: info:  [112]                           (secs)    (secs)    (secs)   (real time) (usr+sys time)
stress-ng: info:  [112] cpu                 121      2.06      3.95      0.02        58.81          30.48
stress-ng: info:  [112] successful run completed in 2.10s
`
	fioOutput = `fio: a warning comes first
{ "fio version" : "fio-3.33", "jobs" : [ { "jobname" : "burn-in", "error" : 0, "total_err" : 0,
  "read" : { "bw" : 2048, "iops" : 32.5 }, "write" : { "bw" : 1024, "iops" : 16.25 } } ] }`
)

// tools answers for the programs; fail names one that fails, and absent one that is not there.
func tools(fail, absent string, calls *[]string) burnin.Runner {
	return func(_ context.Context, name string, arguments ...string) ([]byte, []byte, error) {
		*calls = append(*calls, name+" "+strings.Join(arguments, " "))
		switch {
		case name == absent:
			return nil, nil, fmt.Errorf("%s: %w", name, exec.ErrNotFound)
		case name == fail:
			return nil, []byte("first\nverify: bad header at 4096\n"), errors.New("exit status 1")
		case name == "stress-ng":
			return nil, []byte(stressOutput), nil
		case name == "fio":
			return []byte(fioOutput), nil, nil
		}
		return nil, nil, nil
	}
}

var hardware = report.Hardware{Disks: []report.Disk{{Path: "/dev/vda"}, {Path: "/dev/vdb"}}}

func TestEveryComponentIsTested(t *testing.T) {
	var calls []string
	outcome, err := burnin.Run(t.Context(), job.BurnInSpec{Profile: "short", Seconds: 3}, hardware, tools("", "", &calls), func(uint64, uint64, string) {})
	if err != nil || !outcome.Passed {
		t.Fatalf("%+v (%v)", outcome, err)
	}
	var components []string
	for _, test := range outcome.Tests {
		components = append(components, test.Name+" "+test.Component)
	}
	if got := strings.Join(components, ", "); got != "stress-ng cpu, stress-ng memory, memtester memory, fio /dev/vda, fio /dev/vdb" {
		t.Errorf("tested: %s", got)
	}
	if got := outcome.Tests[0].Metrics["cpu_bogo_ops_per_s"]; got != 58.81 {
		t.Errorf("stress-ng's figure is %v", got)
	}
	if got := outcome.Tests[3].Metrics; got["read_mib_per_s"] != 2 || got["write_iops"] != 16.25 {
		t.Errorf("fio's figures are %v", got)
	}
}

func TestFailureIsTold(t *testing.T) {
	for _, tool := range []string{"stress-ng", "memtester", "fio"} {
		var calls []string
		outcome, err := burnin.Run(t.Context(), job.BurnInSpec{Profile: "short"}, hardware, tools(tool, "", &calls), func(uint64, uint64, string) {})
		if err != nil || outcome.Passed {
			t.Errorf("%s failed: passed %v (%v)", tool, outcome.Passed, err)
		}
		for _, test := range outcome.Tests {
			if failed := test.Name == tool; failed == test.Passed || failed && !strings.Contains(test.Detail, "bad header at 4096") {
				t.Errorf("%s failed: %+v", tool, test)
			}
		}
		if _, err := burnin.Run(t.Context(), job.BurnInSpec{Profile: "short"}, hardware, tools("", tool, &calls), func(uint64, uint64, string) {}); !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("%s is not there: %v", tool, err)
		}
	}
	if _, err := burnin.Run(t.Context(), job.BurnInSpec{Profile: "long"}, hardware, nil, nil); !errors.Is(err, burnin.ErrProfile) {
		t.Errorf("an unknown profile: %v", err)
	}
}

// Whatever a tool prints, its test passes or fails.
func FuzzOutput(f *testing.F) {
	for _, seed := range []string{stressOutput, fioOutput, "", "{", `{"jobs":[]}`, `{"jobs":[{"error":5}]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		run := func(context.Context, string, ...string) ([]byte, []byte, error) { return []byte(text), nil, nil }
		outcome, err := burnin.Run(t.Context(), job.BurnInSpec{Profile: "short"}, hardware, run, func(uint64, uint64, string) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range outcome.Tests {
			if test.Passed == (test.Detail != "") {
				t.Errorf("%+v", test)
			}
		}
	})
}
