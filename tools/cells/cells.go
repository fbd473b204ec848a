// Package cells spreads the tenants of a platform over cells, which are stacks that can be deployed side
// by side. The time of one stack grows faster than its number of tenants.
package cells

import (
	"fmt"

	"tenant-permissions/internal/config"
)

// Stacks are a platform and its cells, as the files of a checkout have them.
type Stacks struct {
	*checkout
	reference platformReference
}

// Open reads the files of a checkout. If dir is "", the checkout is the folder with a Pulumi.yaml that
// is the working directory or the nearest above it. The organization is the one in Pulumi Cloud; if it is
// "", it is that of the first cell, or else organization, which is right for other backends.
func Open(dir, platform, organization string) (*Stacks, error) {
	dir, err := findCheckout(dir)
	if err != nil {
		return nil, err
	}
	c, err := loadCheckout(dir)
	if err != nil {
		return nil, err
	}
	if _, ok := c.stacks[platform]; !ok {
		return nil, fmt.Errorf("--platform %s is not accepted: there is no file Pulumi.<stack>.yaml of this stack", config.Show(platform))
	}
	return &Stacks{c, c.reference(organization, platform)}, nil
}

// all is the platform and its cells, the platform first.
func (s *Stacks) all() []*stack {
	return append([]*stack{s.stacks[s.reference.stack]}, s.cells(s.reference.stack)...)
}
