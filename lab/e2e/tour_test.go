package e2e

import (
	"testing"
	"time"

	"ferrodur/lab/tour"
)

// The demo's tour: enrol, order, log in, return; the disk is empty and nothing is held.
func TestTour(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	enrolled(ctx, t)
	facts, err := tour.Run(ctx, world, t.Output())
	must(t, err)
	if facts.SSHBanner == "" || facts.Login == "" || facts.Wipe == nil {
		t.Errorf("the tour saw too little: %+v", facts)
	}
	mustBeWiped(t, facts.Server)
	for _, stage := range facts.Stages {
		t.Logf("%-20s %6.1f s  %s", stage.Name, stage.Seconds, stage.Outcome)
	}
	t.Logf("%d history events", facts.Events)
}
