// Package userlist writes the file by which PgBouncer knows the logins of stacks.
package userlist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"tenant-permissions/internal/policy"
	"tenant-permissions/internal/scram"
)

// Stack is the outputs of one stack, as `pulumi stack output --json --show-secrets` prints them.
type Stack struct {
	// File names the outputs in errors.
	File    string
	Outputs []byte
}

// locked is a verifier that no password has: its keys are zeros.
const locked = "SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$" + zeros + ":" + zeros

const zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// masked is what the CLI prints in place of a secret.
const masked = "[secret]"

// Make returns PgBouncer's userlist.txt: a line for each login that has a password in the outputs,
// sorted, with the SCRAM verifier that the server has. The file has no password in it. Errors have none
// either: they do not quote the outputs.
//
// A login that only previous has, the userlist up to now, gets a verifier that no password has.
// PgBouncer, when it loads a userlist, keeps a login that is no longer in it and from then on accepts an
// empty password for it; a client gets in as long as there are server connections of the login.
func Make(stacks []Stack, previous []byte) ([]byte, error) {
	passwords, err := Passwords(stacks)
	if err != nil {
		return nil, err
	}
	verifiers := map[string]string{}
	for login, password := range passwords {
		if verifiers[login], err = scram.Verifier(password, login); err != nil {
			return nil, err
		}
	}
	for _, login := range logins(previous) {
		if verifiers[login] == "" {
			verifiers[login] = locked
		}
	}
	var text bytes.Buffer
	for _, login := range slices.Sorted(maps.Keys(verifiers)) {
		fmt.Fprintf(&text, "%s %s\n", quote(login), quote(verifiers[login]))
	}
	return text.Bytes(), nil
}

// Passwords are the passwords of all stacks by login name. Errors have none in them.
func Passwords(stacks []Stack) (map[string]string, error) {
	all, from := map[string]string{}, map[string]string{}
	var problems []error
	for _, stack := range stacks {
		passwords, err := stack.passwords()
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", stack.File, err))
			continue
		}
		for _, login := range slices.Sorted(maps.Keys(passwords)) {
			if other, taken := from[login]; taken {
				problems = append(problems, fmt.Errorf("%s: the login %q is in %s too; give each stack once, and only stacks of one server", stack.File, login, other))
				continue
			}
			all[login], from[login] = passwords[login], stack.File
		}
	}
	return all, errors.Join(problems...)
}

// passwords are the stack's passwords by login name.
func (s Stack) passwords() (map[string]string, error) {
	const again = "; give what `pulumi stack output --json --show-secrets` prints"
	var outputs map[string]json.RawMessage
	if json.Unmarshal(s.Outputs, &outputs) != nil || outputs == nil {
		return nil, errors.New("these are not the outputs of a stack" + again)
	}
	var version int
	if raw, ok := outputs[policy.OutputVersion]; ok && (json.Unmarshal(raw, &version) != nil || version != policy.OutputsVersion) {
		return nil, fmt.Errorf("%s is not %d; use the tenantctl of the version that deployed the stack", policy.OutputVersion, policy.OutputsVersion)
	}
	raw, ok := outputs[policy.OutputPasswords]
	if !ok {
		return nil, fmt.Errorf("the outputs have no %s; deploy the stack, and%s", policy.OutputPasswords, strings.TrimPrefix(again, ";"))
	}
	var text string
	if json.Unmarshal(raw, &text) == nil && text == masked {
		return nil, errors.New("the passwords are masked; run pulumi stack output --json with --show-secrets")
	}
	var passwords map[string]string
	if json.Unmarshal(raw, &passwords) != nil || passwords == nil {
		return nil, fmt.Errorf("%s is not an object of passwords by login name%s", policy.OutputPasswords, again)
	}
	for _, login := range slices.Sorted(maps.Keys(passwords)) {
		switch {
		case login == "" || strings.ContainsAny(login, "\n\r\x00"):
			return nil, fmt.Errorf("%s has a login name that PgBouncer cannot read: %q", policy.OutputPasswords, login)
		case passwords[login] == "":
			return nil, fmt.Errorf("the password of the login %q is empty; deploy the stack again", login)
		case passwords[login] == masked:
			return nil, fmt.Errorf("the password of the login %q is masked; run pulumi stack output --json with --show-secrets", login)
		}
	}
	return passwords, nil
}

// quote writes a word in PgBouncer's way.
func quote(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

// logins are those that a userlist has. What PgBouncer does not take for a login either is left out.
func logins(userlist []byte) (names []string) {
	for _, line := range regexp.MustCompile(`(?m)^"((?:[^"]|"")+)" +"`).FindAllSubmatch(userlist, -1) {
		names = append(names, strings.ReplaceAll(string(line[1]), `""`, `"`))
	}
	return names
}
