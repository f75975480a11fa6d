package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// silence is how long an image may bring nothing before the connection is given up.
const silence = 30 * time.Second

// Image opens an image for reading from its first byte. The reader survives connections
// that break and a boot service that restarts: it goes on at the byte where it was
// (RFC 9110 §14), so that whoever decodes the image notices nothing.
func (s *Service) Image(ctx context.Context, name string) io.ReadCloser {
	return &image{ctx: ctx, service: s, path: "/images/" + url.PathEscape(name)}
}

type image struct {
	ctx     context.Context
	service *Service
	path    string
	offset  int64
	total   int64 // of the whole image; 0 before the first answer
	body    io.ReadCloser
	cancel  context.CancelFunc
	timer   *time.Timer
}

// Read returns io.EOF only at the end of the image, ErrUnauthorized, or an error once the
// service was away for longer than its patience.
func (i *image) Read(buffer []byte) (int, error) {
	for {
		if i.total > 0 && i.offset == i.total {
			return 0, io.EOF
		}
		if i.body == nil {
			if err := i.open(); err != nil {
				return 0, err
			}
		}
		i.timer.Reset(silence)
		n, err := i.body.Read(buffer)
		i.offset += int64(n)
		if err != nil {
			_ = i.Close()
			if ctxErr := i.ctx.Err(); ctxErr != nil {
				return n, ctxErr
			}
			if i.offset < i.total {
				i.service.log.Printf("image: connection lost after %d of %d bytes: %v", i.offset, i.total, err)
			}
		}
		if n > 0 {
			return n, nil
		}
	}
}

// open connects at the offset.
func (i *image) open() error {
	_, err := backoff.Retry(i.ctx, func() (struct{}, error) {
		ctx, cancel := context.WithCancel(i.ctx)
		timer := time.AfterFunc(silence, cancel)
		header := http.Header{"Range": {fmt.Sprintf("bytes=%d-", i.offset)}}
		answer, err := i.service.send(ctx, http.MethodGet, i.path, nil, header)
		if err != nil {
			timer.Stop()
			cancel()
			return struct{}{}, err
		}
		total, err := totalLength(answer, i.offset)
		if err == nil && i.total != 0 && total != i.total {
			err = backoff.Permanent(fmt.Errorf("the image changed its length from %d to %d bytes while it was read", i.total, total))
		}
		if err != nil {
			timer.Stop()
			cancel()
			return struct{}{}, errors.Join(err, answer.Body.Close())
		}
		i.total, i.body, i.cancel, i.timer = total, answer.Body, cancel, timer
		return struct{}{}, nil
	}, i.service.policy("GET "+i.path)...)
	return err
}

// totalLength is the length of the whole image, of an answer that begins at offset.
func totalLength(answer *http.Response, offset int64) (int64, error) {
	if answer.StatusCode == http.StatusOK && offset == 0 && answer.ContentLength > 0 {
		return answer.ContentLength, nil
	}
	var first, last, total int64
	_, err := fmt.Sscanf(answer.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total)
	if answer.StatusCode != http.StatusPartialContent || err != nil || first != offset {
		return 0, fmt.Errorf("the boot service does not serve the image from byte %d", offset)
	}
	return total, nil
}

// Close ends the connection. The reader may be read again.
func (i *image) Close() error {
	if i.body == nil {
		return nil
	}
	i.timer.Stop()
	i.cancel()
	err := i.body.Close()
	i.body = nil
	return err
}
