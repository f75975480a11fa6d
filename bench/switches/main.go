// Bench measures how changes of switch ports are carried out: through the switch's
// workflow on a real Temporal server and PostgreSQL, on emulated switches whose commit
// takes five seconds, and on FRR.
package main

import (
	"runtime"
	"time"

	"ferrodur/bench/steps"
)

// results are what is printed, and written as JSON.
type results struct {
	Date     time.Time `json:"date"`
	CPUs     int       `json:"cpus"`
	Emulated rush      `json:"emulated,omitzero"` // Arista EOS, a commit takes five seconds
	FRR      rush      `json:"frr,omitzero"`
	Audit    audit     `json:"audit,omitzero"`
	Idle     latency   `json:"idle,omitzero"` // FRR, one change at a time
}

// rush is 60 changes of one switch, that arrive together and one after the other.
type rush struct {
	Ports        int     `json:"ports"`
	Transactions int     `json:"transactions"` // of those that arrived together; wanted: at most 3
	Commits      int     `json:"commits"`      // that took effect on the device; 0 where it has none
	Together     float64 `json:"together_seconds"`
	OneByOne     float64 `json:"one_by_one_seconds"`
}

type audit struct {
	Switches int     `json:"switches"`
	Ports    int     `json:"ports"`
	Sessions int     `json:"sessions"`
	Seconds  float64 `json:"seconds"`
}

// latency is from the request of a change to its verified port.
type latency struct {
	Changes int     `json:"changes"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
}

func main() {
	b := &bench{}
	b.Date, b.CPUs = time.Now(), runtime.NumCPU()
	steps.Run(steps.Bench{
		Start: b.start, Stop: b.stop, Print: b.print, Results: &b.results,
		Steps: []steps.Step{
			{Does: "60 changes of an emulated switch whose commit takes 5 s", Do: b.emulated},
			{Does: "60 changes of FRR, and single ones", Do: b.frr},
			{Does: "audit of 100 emulated switches with 48 ports each", Do: b.audit},
		},
	})
}
