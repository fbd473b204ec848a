package cells

import (
	"fmt"
	"io"
	"regexp"

	"gopkg.in/yaml.v3"

	"tenant-permissions/internal/config"
)

// Manifests are the platform and its cells as Stacks of the Pulumi Kubernetes Operator, which then
// deploys what is pushed to the branch: the platform, and once that has succeeded its cells, side
// by side.
type Manifests struct {
	// Repo is the URL of the git repository with the checkout, Branch the branch to deploy.
	Repo, Branch string
	// Namespace is that of the manifests.
	Namespace string
	// Backend is the URL of the states' backend, "" for Pulumi Cloud.
	Backend string
	// ServiceAccount is that of the pods that deploy.
	ServiceAccount string
	// Secret is the name of the Secret that has the variables Env.
	Secret string
	Env    []string
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
		// Between two pushes a pod for each cell would cost much.
		WorkspaceReclaimPolicy string `yaml:"workspaceReclaimPolicy"`
	}
}

type secretRef struct {
	Type   string
	Secret struct{ Name, Key string }
}

type prerequisite struct{ Name string }

// objectName matches the names that Kubernetes accepts for the operator's resources and their pods.
var objectName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$`)

// Manifests prints the manifests.
func (s *Stacks) Manifests(m Manifests, out io.Writer) error {
	p, encoder := &config.Problems{}, yaml.NewEncoder(out)
	stacks := s.all()
	for _, stack := range stacks {
		if !objectName.MatchString(stack.name) {
			p.Add(stack.file, "Kubernetes does not accept the stack's name %s; use at most 53 of a-z, 0-9 and -", config.Show(stack.name))
		}
	}
	if err := p.Err(); err != nil {
		return err
	}
	encoder.SetIndent(2)
	for _, stack := range stacks {
		if err := encoder.Encode(m.manifest(s.reference, stack)); err != nil {
			return fmt.Errorf("%s: %w", stack.file, err)
		}
	}
	return encoder.Close()
}

func (m Manifests) manifest(platform platformReference, s *stack) manifest {
	object := manifest{APIVersion: "pulumi.com/v1", Kind: "Stack"}
	object.Metadata.Name, object.Metadata.Namespace = s.name, m.Namespace
	spec := &object.Spec
	spec.Stack = s.name
	if platform.organization != "organization" {
		spec.Stack = platform.organization + "/" + s.name
	}
	spec.ProjectRepo, spec.Branch, spec.Backend = m.Repo, m.Branch, m.Backend
	spec.SecretsProvider = s.settings.SecretsProvider
	spec.ServiceAccountName, spec.WorkspaceReclaimPolicy = m.ServiceAccount, "Delete"
	spec.EnvRefs = map[string]secretRef{}
	for _, name := range m.Env {
		ref := secretRef{Type: "Secret"}
		ref.Secret.Name, ref.Secret.Key = m.Secret, name
		spec.EnvRefs[name] = ref
	}
	if s.name != platform.stack {
		spec.Prerequisites = []prerequisite{{platform.stack}}
	}
	return object
}
