package bootsvc

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ferrodur/bootsvc/job"
	"ferrodur/schema"
)

func TestSetReplacesAndKillsTheToken(t *testing.T) {
	pool := newPool(t)
	s, ctx := NewStore(pool), t.Context()
	must(t, s.Set(ctx, install("i/1")))
	first := tokenOf(t, s, "52:54:00:00:00:01")
	must(t, s.Set(ctx, install("i/1")))
	if again := tokenOf(t, s, "52:54:00:00:00:01"); again != first {
		t.Error("setting a target twice changed its token")
	}
	must(t, s.Set(ctx, install("i/2")))
	if _, err := s.targetOfToken(ctx, first); !errors.Is(err, ErrNoTarget) {
		t.Errorf("the replaced target's token: %v", err)
	}
	if err := s.Set(ctx, install("i/1")); !errors.Is(err, ErrTargetEnded) {
		t.Errorf("a late Set of the replaced target: %v", err)
	}
	second := tokenOf(t, s, "52:54:00:00:00:01")
	must(t, s.Clear(ctx, "r1-s01"))
	must(t, s.Clear(ctx, "r1-s01"))
	if _, err := s.targetOfToken(ctx, second); !errors.Is(err, ErrNoTarget) {
		t.Errorf("the cleared target's token: %v", err)
	}
	var rows string
	must(t, pool.QueryRow(ctx, `SELECT string_agg(t::text, '') || (SELECT string_agg(c::text, '') FROM bootsvc.call_homes c) FROM bootsvc.targets t`).Scan(&rows))
	// In JSON, user data is base64.
	for _, secret := range []string{first, second, "dGhlIHRlbmFudCdzIHNlY3JldA"} {
		if strings.Contains(rows, secret) {
			t.Errorf("%q is still stored", secret)
		}
	}
	if status, err := s.Status(ctx, "i/2"); err != nil || !status.Ended {
		t.Errorf("status of the cleared target: %+v, %v", status, err)
	}
}

func TestTwoServersDoNotShareAMAC(t *testing.T) {
	s, ctx := NewStore(newPool(t)), t.Context()
	must(t, s.Set(ctx, inspect("a/1")))
	other := inspect("b/1")
	other.Server = "r1-s02"
	var taken TakenError
	if err := s.Set(ctx, other); !errors.As(err, &taken) {
		t.Errorf("a second target with the MAC: %v", err)
	}
	must(t, s.Clear(ctx, "r1-s01"))
	must(t, s.Set(ctx, other))
}

func TestReleaseFollowsTheResult(t *testing.T) {
	s, ctx := NewStore(newPool(t)), t.Context()
	if err := s.Release(ctx, "a/1", job.Reboot); !errors.Is(err, ErrNoTarget) {
		t.Errorf("release of nothing: %v", err)
	}
	must(t, s.Set(ctx, inspect("a/1")))
	if err := s.Release(ctx, "a/1", job.Reboot); !errors.Is(err, ErrNoResult) {
		t.Errorf("release before the result: %v", err)
	}
	must(t, s.storeResult(ctx, "a/1", job.Result{Error: "first \x00"}))
	must(t, s.storeResult(ctx, "a/1", job.Result{Error: "second"}))
	must(t, s.Release(ctx, "a/1", job.Reboot))
	must(t, s.Release(ctx, "a/1", job.Reboot))
	if err := s.Release(ctx, "a/1", job.PowerOff); !errors.Is(err, ErrReleased) {
		t.Errorf("another release: %v", err)
	}
	must(t, s.reach(ctx, "a/1", job.PhaseDHCP)) // a reset now does not undo the job
	status, err := s.Status(ctx, "a/1")
	must(t, err)
	if status.Phase != job.PhaseDone || status.Result == nil || status.Result.Error != "first \x00" || status.Release != job.Reboot {
		t.Errorf("status %+v", status)
	}
}

func TestWaitIsQuick(t *testing.T) {
	s, ctx := NewStore(newPool(t)), t.Context()
	must(t, s.Set(ctx, inspect("a/1")))
	before, err := s.Status(ctx, "a/1")
	must(t, err)
	if same, err := s.Wait(ctx, "a/1", before.Revision, 300*time.Millisecond); err != nil || same.Revision != before.Revision {
		t.Errorf("nothing happened, yet: %+v, %v", same, err)
	}
	changed := make(chan time.Time, 1)
	go func() {
		time.Sleep(100 * time.Millisecond)
		_ = s.progress(ctx, "a/1", job.Progress{Phase: job.PhaseWrite, Done: 42, Total: 100})
		changed <- time.Now()
	}()
	after, err := s.Wait(ctx, "a/1", before.Revision, 10*time.Second)
	must(t, err)
	if took := time.Since(<-changed); took > 300*time.Millisecond || after.Phase != job.PhaseWrite || after.Percent() != 42 {
		t.Errorf("after %v: %+v", took, after)
	}
}

func TestKernelWithoutAgentIsTrouble(t *testing.T) {
	s, ctx := NewStore(newPool(t)), t.Context()
	must(t, s.Set(ctx, inspect("a/1")))
	for _, phase := range []job.Phase{job.PhaseDHCP, job.PhaseLoader, job.PhaseKernel, job.PhaseDHCP} {
		must(t, s.reach(ctx, "a/1", phase))
	}
	status, err := s.Status(ctx, "a/1")
	must(t, err)
	if status.Trouble != bootLost || status.Phase != job.PhaseDHCP || status.Reached[job.PhaseKernel].IsZero() {
		t.Errorf("status %+v", status)
	}
}

func TestMigrateRefusesANewerSchema(t *testing.T) {
	pool := newPool(t)
	must(t, Migrate(t.Context(), pool))
	_, err := pool.Exec(t.Context(), `INSERT INTO bootsvc.schema_version (version_id, is_applied) VALUES (99, true)`)
	must(t, err)
	var newer schema.NewerError
	if err := Migrate(t.Context(), pool); !errors.As(err, &newer) || newer.Has != 99 {
		t.Errorf("migrate: %v", err)
	}
}
