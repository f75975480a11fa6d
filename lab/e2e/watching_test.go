package e2e

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
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
	histories := histories(ctx, t)
	keep(t, histories)
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

// keep writes histories as JSON where FERRODUR_RECORD names a folder, for the replay test of
// the workflows. One of each kind is enough: the random end of an ID makes none.
func keep(t *testing.T, histories map[string][]byte) {
	t.Helper()
	folder := os.Getenv("FERRODUR_RECORD")
	if folder == "" {
		return
	}
	must(t, os.MkdirAll(folder, 0o755))
	for id, history := range histories {
		name := regexp.MustCompile(`-[a-z2-7]{8}$`).ReplaceAllString(strings.ReplaceAll(id, "/", "-"), "")
		must(t, os.WriteFile(filepath.Join(folder, name+".json"), history, 0o644))
	}
}

// histories reads the histories of all workflows, by workflow ID.
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

// Prometheus finds the stages' durations at the address that the worker tells in its log.
func TestMetricsTellOfStages(t *testing.T) {
	ctx := within(t, 10*time.Minute)
	enrolled(ctx, t)
	log, err := os.ReadFile(world.WorkerLog("lifecycle"))
	must(t, err)
	told := regexp.MustCompile(`"url":"(http://[^"]+/metrics)"`).FindAllSubmatch(log, -1)
	if len(told) == 0 {
		t.Fatalf("the log tells no address:\n%s", log)
	}
	response, err := http.Get(string(told[len(told)-1][1])) // of the last start
	must(t, err)
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	must(t, err)
	if !regexp.MustCompile(`(?m)^ferrodur_stage_seconds_count\{.*outcome="done".*site="lab".*stage="[a-z ]+".*\} [1-9]`).Match(page) {
		t.Errorf("no stage is counted:\n%s", page)
	}
}
