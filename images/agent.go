package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// program is the agent's, with what tells one build of it from another.
type program struct {
	file   string
	digest string
}

// buildAgent builds the agent of this checkout into a folder, without libraries: nothing
// else is there when it starts.
func buildAgent(ctx context.Context, dir string) (program, error) {
	agent := program{file: filepath.Join(dir, "init")}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", agent.file, "ferrodur/bootsvc/agent")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if output, err := command.CombinedOutput(); err != nil {
		return agent, fmt.Errorf("build the agent (in a checkout of Ferrodur, with Go): %w\n%s", err, output)
	}
	text, err := os.ReadFile(agent.file)
	if err != nil {
		return agent, err
	}
	digest := sha256.Sum256(text)
	agent.digest = hex.EncodeToString(digest[:])
	return agent, nil
}
