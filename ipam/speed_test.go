package ipam_test

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func BenchmarkLinks(b *testing.B) {
	store, _ := open(b, pool("a4", "10.0.0.0/8", 0), pool("a6", "2001:db8::/48", 0))
	for _, clients := range []int{1, 8, 32} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			var wait sync.WaitGroup
			run := time.Now().UnixNano()
			for client := range clients {
				wait.Go(func() {
					for n := client; n < b.N; n += clients {
						if _, err := store.AllocateLinks(b.Context(), request(fmt.Sprintf("instance/%d/%d", run, n))); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wait.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "links/s")
		})
	}
}
