package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Login is a role that logs in with a generated password, or by way of a pair of logins.
type Login struct {
	// Name is the name in PostgreSQL of the role that holds memberships and privileges; Active is
	// the one to log in with: the same, or one of the pair.
	Name, Active pulumi.StringOutput
	// Passwords by login name; the values are secret.
	Passwords pulumi.StringMap
	// Roles are the role itself and the pair behind it.
	Roles []pulumi.Resource
}

// newLogin registers <name>-password and <name>-role, a role that logs in with it, and for a pair
// the same of <name>-a and <name>-b. path is where the config names the role, and args hold what
// the login has beyond its config.
func newLogin(ctx *pulumi.Context, name, path string, cfg LoginConfig, args postgresql.RoleArgs, opts ...pulumi.ResourceOption) (*Login, error) {
	password, err := newPassword(ctx, name+"-password", cfg.PasswordVersion, opts...)
	if err != nil {
		return nil, err
	}
	args.Name = pulumi.String(cfg.Name)
	args.Password = verifierOf(password.Result, cfg.Name)
	args.ConnectionLimit = pulumi.Int(cfg.ConnectionLimit)
	args.BypassRowLevelSecurity = pulumi.Bool(cfg.BypassRowLevelSecurity)
	args.Login = pulumi.Bool(!cfg.Suspended)
	role, err := postgresql.NewRole(ctx, name+"-role", &args, append(slices.Clone(opts), keepName())...)
	if err != nil {
		return nil, err
	}
	login := &Login{Name: unchanged(path, cfg.Name, role.Name), Passwords: pulumi.StringMap{}, Roles: []pulumi.Resource{role}}
	login.Active = login.Name
	if len(cfg.Pair) == 0 || !cfg.Suspended {
		login.Passwords[cfg.Name] = withChecks(password.Result, login.Name)
	}
	for i, half := range cfg.Pair {
		letter := pairLetters[i : i+1]
		// It acts as the role, so that sessions of both logins, and of the role, are the same to
		// row-level security policies. Settings do not come by membership.
		other, err := newLogin(ctx, name+"-"+letter, path, half, postgresql.RoleArgs{
			Roles:       pulumi.StringArray{login.Name},
			AssumeRole:  cmp.Or[pulumi.StringPtrInput](args.AssumeRole, login.Name),
			SearchPaths: args.SearchPaths,
		}, opts...)
		if err != nil {
			return nil, err
		}
		maps.Copy(login.Passwords, other.Passwords)
		login.Roles = append(login.Roles, other.Roles...)
		if half.Name == cfg.Active {
			login.Active = other.Name
		}
	}
	return login, nil
}

const (
	// passwordLength in letters and digits is 190 bits. Special characters would add little and
	// are mangled on the way: the provider doubles backslashes, URLs need escapes.
	passwordLength = 32
	// scramIterations is PostgreSQL's own number. More would slow every login and add nothing
	// against guessing a random password.
	scramIterations = 4096
	saltBytes       = 16
)

// newPassword registers the random password of a login; another version makes another password.
// It is a RandomPassword, whose resource ID is the word none: the ID of RandomBytes, RandomString
// and RandomUuid is the value itself, in plain in the state.
func newPassword(ctx *pulumi.Context, name string, version int, opts ...pulumi.ResourceOption) (*random.RandomPassword, error) {
	return random.NewRandomPassword(ctx, name, &random.RandomPasswordArgs{
		Length:  pulumi.Int(passwordLength),
		Special: pulumi.Bool(false),
		Keepers: pulumi.StringMap{"passwordVersion": pulumi.String(strconv.Itoa(version))},
	}, opts...)
}

// verifierOf is what PostgreSQL is given in place of the password, as a secret. Plaintext in
// CREATE ROLE would stand in the server's log.
func verifierOf(password pulumi.StringOutput, role string) pulumi.StringOutput {
	return pulumi.ToSecret(password.ApplyT(func(password string) (string, error) {
		return scramVerifier(password, derivedSalt(password, role), scramIterations)
	})).(pulumi.StringOutput)
}

// derivedSalt makes a salt that is the same in every run, or every preview would show a new
// verifier, and another one for every role and password.
func derivedSalt(password, role string) []byte {
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write([]byte("tenant-permissions salt " + role))
	return mac.Sum(nil)[:saltBytes]
}

// scramVerifier is the form in which PostgreSQL stores a SCRAM-SHA-256 password (RFC 5802, RFC
// 7677): SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>. The password must be ASCII,
// for which the RFC's normalisation (SASLprep) changes nothing.
func scramVerifier(password string, salt []byte, iterations int) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("deriving the SCRAM key: %w", err)
	}
	hash := func(key []byte, text string) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return mac.Sum(nil)
	}
	storedKey := sha256.Sum256(hash(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s",
		iterations, b64(salt), b64(storedKey[:]), b64(hash(salted, "Server Key"))), nil
}
