package main

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/scram"
)

// Login is a role that logs in with a generated password, or by way of two alternating logins.
type Login struct {
	// Name is the name in PostgreSQL of the role that holds memberships and privileges; Active is
	// the one to log in with: the same, or one of the
	// alternating logins.
	Name, Active pulumi.StringOutput
	// Passwords by login name; the values are secret.
	Passwords pulumi.StringMap
	// Roles are the role itself and its alternating logins.
	Roles []pulumi.Resource
}

// newLogin registers <name>-password and <name>-role, a role that logs in with it, and for
// alternating logins the same of <name>-a and <name>-b. path is where the config names the role, and args hold what
// the login has beyond its config.
func newLogin(ctx *pulumi.Context, name, path string, cfg config.Login, args postgresql.RoleArgs, opts ...pulumi.ResourceOption) (*Login, error) {
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
	if len(cfg.Alternating) == 0 || !cfg.Suspended {
		login.Passwords[cfg.Name] = withChecks(password.Result, login.Name)
	}
	for i, alternating := range cfg.Alternating {
		letter := config.AlternatingLetters()[i]
		// It acts as the role, so that sessions of both logins, and of the role, are the same to
		// row-level security policies. Settings do not come by membership.
		other, err := newLogin(ctx, name+"-"+letter, path, alternating, postgresql.RoleArgs{
			Roles:       pulumi.StringArray{login.Name},
			AssumeRole:  cmp.Or[pulumi.StringPtrInput](args.AssumeRole, login.Name),
			SearchPaths: args.SearchPaths,
		}, opts...)
		if err != nil {
			return nil, err
		}
		maps.Copy(login.Passwords, other.Passwords)
		login.Roles = append(login.Roles, other.Roles...)
		if alternating.Name == cfg.Active {
			login.Active = other.Name
		}
	}
	return login, nil
}

const (
	// passwordLength in letters and digits is 190 bits. Special characters would add little and
	// are mangled on the way: the provider doubles backslashes, URLs need escapes.
	passwordLength = 32
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
		return scram.Verifier(password, role)
	})).(pulumi.StringOutput)
}
