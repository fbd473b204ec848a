package cells

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	crdv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kubeyaml "sigs.k8s.io/yaml"
)

// operatorCRD is what the Pulumi Kubernetes Operator publishes of its Stack. It is no part of this
// repository, but of the data beside it.
const operatorCRD = "../../../shared/data/pulumi.com_stacks.yaml"

// sample are the manifests of a platform with two cells.
func sample(t *testing.T) string {
	t.Helper()
	s := newSandbox(t)
	s.cell(t, "prod-001", "{}")
	s.cell(t, "prod-002", "{}")
	s.write(t, "Pulumi.prod-002.yaml", "secretsprovider: awskms://alias/platform\n"+s.read(t, "Pulumi.prod-002.yaml"))
	out, err := s.run(t, "organization", prints(Manifests{
		Repo: "https://git.example.com/platform.git", Branch: "main", Namespace: "platform", Backend: "s3://example-states",
		ServiceAccount: "pulumi", Secret: "tenant-permissions", Env: []string{"PGPASSWORD", "PULUMI_CONFIG_PASSPHRASE"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The committed sample is what the command prints.
func TestManifestsSample(t *testing.T) {
	want := must(os.ReadFile("testdata/manifests.yaml"))
	if got := sample(t); got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestManifestsRefuse(t *testing.T) {
	s := newSandbox(t)
	s.cell(t, "prod_1", "{}")
	s.fails(t, []string{`Pulumi.prod_1.yaml: Kubernetes does not accept the stack's name "prod_1"; use at most 53 of a-z, 0-9 and -`},
		prints(Manifests{Repo: "https://git.example.com/platform.git"}))
}

// Every manifest is one that the operator's own schema accepts, and the schema is strict enough to
// refuse what is not.
func TestManifestsAreWhatTheOperatorTakes(t *testing.T) {
	content, err := os.ReadFile(operatorCRD)
	if errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "" {
		t.Logf("nothing is validated without %s; in CI this fails", operatorCRD)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	validate := validator(t, content)
	manifests := sample(t)
	if got := strings.Count(manifests, "kind: Stack"); got != 3 {
		t.Errorf("got %d manifests, want 3", got)
	}
	for _, problem := range validate(manifests) {
		t.Error(problem)
	}
	for want, edit := range map[string][2]string{
		"spec.stack: Required value":              {"  stack: prod\n", ""},
		"spec.prerequisites[0].name: Required":    {"    - name: prod\n", "    - {}\n"},
		"unknown field spec.projectRepository":    {"projectRepo:", "projectRepository:"},
		"unknown field spec.envRefs.PGPASSWORD.k": {"PGPASSWORD:\n", "PGPASSWORD:\n      k: v\n"},
		"spec.branch in body must be":             {"branch: main", "branch: 1"},
		"spec.workspaceReclaimPolicy":             {"Policy: Delete", "Policy: Remove"},
		"apiVersion":                              {"pulumi.com/v1\n", "pulumi.com/v2\n"},
	} {
		broken := strings.Replace(manifests, edit[0], edit[1], 1)
		if got := strings.Join(validate(broken), "\n"); broken == manifests || !strings.Contains(got, want) {
			t.Errorf("%q for %q: got the problems %q, want %s", edit[1], edit[0], got, want)
		}
	}
}

// validator validates as an API server with the CRD would with --validate=strict.
func validator(t *testing.T, crd []byte) func(manifests string) (problems []string) {
	t.Helper()
	var definition crdv1.CustomResourceDefinition
	if err := kubeyaml.Unmarshal(crd, &definition); err != nil {
		t.Fatal(err)
	}
	versions := map[string]crdv1.CustomResourceDefinitionVersion{}
	for _, version := range definition.Spec.Versions {
		versions[definition.Spec.Group+"/"+version.Name] = version
	}
	return func(manifests string) (found []string) {
		for decoder := yaml.NewDecoder(strings.NewReader(manifests)); ; {
			var object map[string]any
			if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
				return found
			} else if err != nil {
				t.Fatal(err)
			}
			version, ok := versions[object["apiVersion"].(string)]
			if !ok || object["kind"] != definition.Spec.Names.Kind {
				found = append(found, "the CRD has no such kind or apiVersion")
				continue
			}
			var schema apiextensions.JSONSchemaProps
			if err := crdv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, &schema, nil); err != nil {
				t.Fatal(err)
			}
			check, _, err := validation.NewSchemaValidator(&schema)
			if err != nil {
				t.Fatal(err)
			}
			shape, err := structural.NewStructural(&schema)
			if err != nil {
				t.Fatal(err)
			}
			// By way of JSON, whose types the validator knows.
			var value map[string]any
			if err := kubeyaml.Unmarshal(must(yaml.Marshal(object)), &value); err != nil {
				t.Fatal(err)
			}
			for _, problem := range validation.ValidateCustomResource(field.NewPath(""), value, check) {
				found = append(found, problem.Error())
			}
			unknown := pruning.PruneWithOptions(value, shape, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
			for _, path := range unknown {
				found = append(found, "unknown field "+path)
			}
		}
	}
}
