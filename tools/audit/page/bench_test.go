package page

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
)

// BenchmarkSearch types into the search of a page with 10,000 tenants of 20 tables each. It reports what one
// key takes the page, the slowest and the median, until the rows are laid out, and what opening the page
// takes. All are processor time of the page's own thread, which other work on the machine does not change.
func BenchmarkSearch(b *testing.B) {
	var keys []string
	for i := range 10_000 {
		keys = append(keys, fmt.Sprintf("t%05d", i))
	}
	page := open(b, sample(keys, 20))
	page.do(performance.Enable().WithTimeDomain(performance.EnableTimeDomainThreadTicks))
	before := page.busy()
	page.do(chromedp.Reload())
	page.until(tenantRows + " > 0")
	opened := page.busy() - before
	var milliseconds []float64
	for b.Loop() {
		for _, word := range []string{"t09999", "documents", "tenant_t0 messages", "analyst", "nothing"} {
			for end := 1; end <= len(word); end++ {
				before := page.busy()
				page.searchFor(word[:end])
				page.run("document.body.offsetHeight")
				milliseconds = append(milliseconds, page.busy()-before)
			}
		}
	}
	slices.Sort(milliseconds)
	b.ReportMetric(milliseconds[len(milliseconds)/2], "ms/key")
	b.ReportMetric(milliseconds[len(milliseconds)-1], "ms/slowest-key")
	b.ReportMetric(opened, "ms/open")
	b.ReportMetric(0, "ns/op")
}

// busy is the processor time that the page's thread has used, in milliseconds.
func (b browser) busy() float64 {
	b.t.Helper()
	var metrics []*performance.Metric
	b.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		metrics, err = performance.GetMetrics().Do(ctx)
		return err
	}))
	for _, metric := range metrics {
		if metric.Name == "TaskDuration" {
			return metric.Value * 1000
		}
	}
	b.t.Fatal("Chromium has no metric TaskDuration")
	return 0
}
