package workflows_test

import (
	"path/filepath"
	"testing"

	"go.temporal.io/sdk/worker"

	"ferrodur/workflows"
)

// Histories that were recorded on the virtual rack replay: a change of the workflows that
// breaks instances which are under way is seen here. New ones are recorded with
// `FERRODUR_RECORD=$PWD/workflows/testdata go tool task test:e2e`.
func TestRecordedHistoriesReplay(t *testing.T) {
	recorded, err := filepath.Glob("testdata/*.json")
	if err != nil || len(recorded) == 0 {
		t.Fatalf("%d histories (%v)", len(recorded), err)
	}
	for _, file := range recorded {
		t.Run(filepath.Base(file), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			workflows.Register(replayer)
			if err := replayer.ReplayWorkflowHistoryFromJSONFile(nil, file); err != nil {
				t.Error(err)
			}
		})
	}
}
