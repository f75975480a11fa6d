package e2e

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
)

// secret is what a tenant's user data holds, and what nobody else may read.
const secret = "correct-horse-battery-staple"

// After all that the tests did, no secret is in a history, in a log, or in what Temporal
// has stored: not the passwords of BMCs and switch, not the database's, not user data.
// Run alone, the test enrols the servers first, which takes their passwords.
func TestWhatOthersCanRead(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	enrolled(ctx, t)
	histories := recordedHistories(ctx, t)
	secrets := map[string][]byte{"user data": []byte(secret)}
	for _, pattern := range []string{"rack/secrets/*", "postgres/password"} {
		files, err := filepath.Glob(filepath.Join(world.Dir(), pattern))
		must(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			must(t, err)
			secrets[file] = bytes.TrimSpace(text)
		}
	}
	if len(secrets) < 5 {
		t.Fatalf("only %d secrets to search for", len(secrets))
	}
	search := func(where string, text []byte) {
		for name, secret := range secrets {
			if bytes.Contains(text, secret) {
				t.Errorf("%s holds the secret %s", where, name)
			}
		}
	}
	for id, history := range histories {
		search("the history of "+id, history)
	}
	read := 0
	for _, folder := range []string{"workers", "temporal", "postgres"} {
		err := filepath.WalkDir(filepath.Join(world.Dir(), folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			if folder == "postgres" && filepath.Ext(path) != ".log" {
				return nil // the facts themselves
			}
			text, err := os.ReadFile(path)
			read++
			search(path, text)
			return err
		})
		must(t, err)
	}
	if read < 7 {
		t.Errorf("only %d logs and files were read", read)
	}
}

// recordedHistories reads the histories of all workflows, and keeps them as JSON where
// FERRODUR_RECORD names a folder: for the replay test of the workflows.
func recordedHistories(ctx context.Context, t *testing.T) map[string][]byte {
	t.Helper()
	all := histories(ctx, t)
	folder := os.Getenv("FERRODUR_RECORD")
	if folder == "" {
		return all
	}
	for id, history := range all {
		must(t, os.WriteFile(filepath.Join(folder, filepath.Base(filepath.Dir(id))+"-"+filepath.Base(id)+".json"), history, 0o644))
	}
	return all
}

func histories(ctx context.Context, t *testing.T) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for listed, err := range world.Client.List(ctx, "") {
		must(t, err)
		var history historypb.History
		events := world.Client.Temporal().GetWorkflowHistory(ctx, listed.ID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for events.HasNext() {
			event, err := events.Next()
			must(t, err)
			history.Events = append(history.Events, event)
		}
		text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&history)
		must(t, err)
		all[listed.ID] = text
	}
	return all
}
