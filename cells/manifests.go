package main

import (
	"fmt"
	"io"
	"regexp"

	"gopkg.in/yaml.v3"
)

// manifests are the platform and its cells as Stacks of the Pulumi Kubernetes Operator, which then
// deploys what is pushed to the branch: the platform, and once that has succeeded its cells, side
// by side.
type manifests struct {
	repo, branch, namespace, backend, serviceAccount, secret string

	reference platformReference
	// env are the variables that come from the secret.
	env []string
}

// manifest is the part of the operator's resource that is used here.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   struct{ Name, Namespace string }
	Spec       struct {
		Stack              string
		ProjectRepo        string               `yaml:"projectRepo"`
		Branch             string               `yaml:"branch"`
		Backend            string               `yaml:"backend,omitempty"`
		SecretsProvider    string               `yaml:"secretsProvider,omitempty"`
		ServiceAccountName string               `yaml:"serviceAccountName"`
		EnvRefs            map[string]secretRef `yaml:"envRefs,omitempty"`
		Prerequisites      []prerequisite       `yaml:",omitempty"`
		// A pod for each cell is a lot to keep between two pushes.
		WorkspaceReclaimPolicy string `yaml:"workspaceReclaimPolicy"`
	}
}

type secretRef struct {
	Type   string
	Secret struct{ Name, Key string }
}

type prerequisite struct{ Name string }

// objectName is what the operator's resources, and the pods it makes of them, can be called.
var objectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$`)

// run prints the manifests.
func (m manifests) run(c *checkout, out io.Writer) error {
	p, encoder := &problems{}, yaml.NewEncoder(out)
	stacks := append([]*stack{c.stacks[m.reference.stack]}, c.cells(m.reference.stack)...)
	for _, stack := range stacks {
		if !objectName.MatchString(stack.name) {
			p.add(stack.file, "the stack's name "+show(stack.name), "a-z, 0-9 and -, at most 53, which Kubernetes accepts")
		}
	}
	if err := p.err(); err != nil {
		return err
	}
	encoder.SetIndent(2)
	for _, stack := range stacks {
		if err := encoder.Encode(m.manifest(stack)); err != nil {
			return fmt.Errorf("%s: %w", stack.file, err)
		}
	}
	return encoder.Close()
}

func (m manifests) manifest(s *stack) manifest {
	object := manifest{APIVersion: "pulumi.com/v1", Kind: "Stack"}
	object.Metadata.Name, object.Metadata.Namespace = s.name, m.namespace
	spec := &object.Spec
	spec.Stack = s.name
	if m.reference.organization != "organization" {
		spec.Stack = m.reference.organization + "/" + s.name
	}
	spec.ProjectRepo, spec.Branch, spec.Backend = m.repo, m.branch, m.backend
	spec.SecretsProvider = s.settings.SecretsProvider
	spec.ServiceAccountName, spec.WorkspaceReclaimPolicy = m.serviceAccount, "Delete"
	spec.EnvRefs = map[string]secretRef{}
	for _, name := range m.env {
		ref := secretRef{Type: "Secret"}
		ref.Secret.Name, ref.Secret.Key = m.secret, name
		spec.EnvRefs[name] = ref
	}
	if s.name != m.reference.stack {
		spec.Prerequisites = []prerequisite{{m.reference.stack}}
	}
	return object
}
