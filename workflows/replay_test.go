package workflows_test

import (
	"os"
	"path/filepath"
	"testing"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

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
			// An operator may have reset it: the history goes on in another run.
			reset := worker.ReplayWorkflowHistoryOptions{OriginalExecution: workflow.Execution{ID: "reset", RunID: "another"}}
			if err := replayer.ReplayWorkflowHistoryWithOptions(nil, history(t, file), reset); err != nil {
				t.Errorf("after a reset: %v", err)
			}
		})
	}
}

func history(t *testing.T, file string) *historypb.History {
	t.Helper()
	text, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	recorded, err := client.HistoryFromJSON(text, client.HistoryJSONOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return recorded
}
