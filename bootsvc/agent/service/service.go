// Package service is the agent's side of the protocol of package job: the boot service as
// the agent sees it. A boot service that is away, for minutes or hours, is waited for.
package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/cenkalti/backoff/v5"

	"ferrodur/bootsvc/job"
)

// ErrUnauthorized says that the token is not, or no longer, valid: the boot target was
// cleared or replaced, and the server has no business being on.
var ErrUnauthorized = errors.New("the boot service does not know this token any more")

const (
	// patience is how long the boot service may be away.
	patience = 24 * time.Hour
	// answerTime bounds one request; a release may take 25 s to come.
	answerTime = 40 * time.Second
	maxAnswer  = 8 << 20
)

// Service is the boot service.
type Service struct {
	url, token string
	http       *http.Client
	log        *log.Logger
}

// New returns the boot service at a base URL. The token goes into requests and nowhere else.
func New(url, token string, logger *log.Logger) *Service {
	return &Service{url: url, token: token, log: logger, http: &http.Client{}}
}

// Job asks what there is to do. It returns ErrUnauthorized.
func (s *Service) Job(ctx context.Context) (job.Job, error) {
	var j job.Job
	err := s.insist(ctx, http.MethodGet, "/agent/job", nil, func(answer *http.Response) error {
		return json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&j)
	})
	return j, err
}

// Report tells of progress, once: the next report says more. It returns ErrUnauthorized,
// and whatever kept it from being delivered.
func (s *Service) Report(ctx context.Context, progress job.Progress) error {
	body, err := json.Marshal(progress)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := s.send(ctx, http.MethodPost, "/agent/progress", body, http.Header{})
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// Finish delivers the result, and returns when the boot service has stored it.
func (s *Service) Finish(ctx context.Context, result job.Result) error {
	body, err := json.Marshal(result)
	if err != nil {
		return err
	}
	return s.insist(ctx, http.MethodPost, "/agent/result", body, func(*http.Response) error { return nil })
}

// errNotYet says that there is no release so far.
var errNotYet = errors.New("not yet")

// Release waits until the agent may go.
func (s *Service) Release(ctx context.Context) (job.Release, error) {
	var release job.Release
	for {
		err := s.insist(ctx, http.MethodGet, "/agent/release", nil, func(answer *http.Response) error {
			if answer.StatusCode == http.StatusNoContent {
				return backoff.Permanent(errNotYet)
			}
			return json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&release)
		})
		if !errors.Is(err, errNotYet) {
			return release, err
		}
	}
}

// insist sends a request until it is answered, or refused for good.
func (s *Service) insist(ctx context.Context, method, path string, body []byte, read func(*http.Response) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, answerTime)
		defer cancel()
		answer, err := s.send(ctx, method, path, body, http.Header{})
		if err != nil {
			return struct{}{}, err
		}
		defer answer.Body.Close()
		return struct{}{}, read(answer)
	}, s.policy(method+" "+path)...)
	return err
}

// policy begins with a short pause and never waits long: the service is in the same rack.
func (s *Service) policy(what string) []backoff.RetryOption {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = 200 * time.Millisecond
	pauses.MaxInterval = 10 * time.Second
	return []backoff.RetryOption{
		backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(patience),
		backoff.WithNotify(func(err error, pause time.Duration) {
			s.log.Printf("%s: %v; again in %s", what, err, pause.Round(100*time.Millisecond))
		}),
	}
}

// send sends one request. An answer other than 2xx is an error: permanent where the same
// request would be refused again.
func (s *Service) send(ctx context.Context, method, path string, body []byte, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, backoff.Permanent(err)
	}
	request.Header = header
	request.Header.Set("Authorization", "Bearer "+s.token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := s.http.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	_ = answer.Body.Close()
	err = fmt.Errorf("the boot service answered %s", answer.Status)
	switch {
	case answer.StatusCode == http.StatusUnauthorized:
		return nil, backoff.Permanent(ErrUnauthorized)
	case answer.StatusCode/100 == 4 && answer.StatusCode != http.StatusTooManyRequests && answer.StatusCode != http.StatusRequestTimeout:
		return nil, backoff.Permanent(err)
	}
	return nil, err
}
