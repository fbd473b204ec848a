package suites

import (
	"bytes"
	"io"
	"sync"
)

// order passes on the output of suites that run side by side as if they ran one after the other. That
// of the first one which has not ended appears at once; that of the others waits.
type order struct {
	out io.Writer

	mu      sync.Mutex
	first   int
	waiting []bytes.Buffer
	ended   []bool
}

func newOrder(out io.Writer, suites int) *order {
	return &order{out: out, waiting: make([]bytes.Buffer, suites), ended: make([]bool, suites)}
}

// writer is for the output of a suite, by its index.
func (o *order) writer(suite int) io.Writer { return place{o, suite} }

// end says that the suite writes no more. It returns what went wrong when it passed on the output of others.
func (o *order) end(suite int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended[suite] = true
	for o.first < len(o.ended) && o.ended[o.first] {
		o.first++
		if o.first < len(o.waiting) {
			if _, err := o.waiting[o.first].WriteTo(o.out); err != nil {
				return err
			}
		}
	}
	return nil
}

// place is a suite's place in an order.
type place struct {
	order *order
	suite int
}

func (p place) Write(text []byte) (int, error) {
	p.order.mu.Lock()
	defer p.order.mu.Unlock()
	if p.suite > p.order.first {
		return p.order.waiting[p.suite].Write(text)
	}
	return p.order.out.Write(text)
}
