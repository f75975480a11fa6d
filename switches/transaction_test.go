package switches

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Who has something pending for longer than Ferrodur ever has is not waited for any longer.
func TestAwaitQuietEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		err := awaitQuiet(t.Context(), func() (bool, error) { return true, nil })
		if took := time.Since(begun); !errors.Is(err, ErrLocked) || took < quietPatience || took > quietPatience+time.Second {
			t.Errorf("got %v after %v, want ErrLocked", err, took)
		}
	})
}
