package main

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-postgresql/sdk/v3/go/postgresql"
	"github.com/pulumi/pulumi-random/sdk/v4/go/random"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"tenant-permissions/internal/config"
	"tenant-permissions/internal/deployed"
	"tenant-permissions/internal/scram"
)

// Login is a role that logs in with a generated password, or that has alternating logins.
type Login struct {
	// Name is the name in PostgreSQL of the role that has the memberships and privileges. Active is the
	// name to log in with: the same name, or that of an alternating login.
	Name, Active pulumi.StringOutput
	// Passwords by login name; the values are secret.
	Passwords pulumi.StringMap
	// Roles are the role itself and its alternating logins.
	Roles []pulumi.Resource
}

// newLogin registers <name>-password and <name>-role, a role that logs in with it. For alternating
// logins it registers the same as <name>-a and <name>-b. path is where the config names the role, and
// args are what the role has beyond its config.
func newLogin(ctx *pulumi.Context, name, path string, cfg config.Login, args postgresql.RoleArgs, opts ...pulumi.ResourceOption) (*Login, error) {
	password, err := newPassword(ctx, name+"-password", cfg.PasswordVersion, opts...)
	if err != nil {
		return nil, err
	}
	args.Name, args.Password = pulumi.String(cfg.Name), verifierOf(password.Result, cfg.Name)
	args.ConnectionLimit = pulumi.Int(cfg.ConnectionLimit)
	if cfg.StatementTimeout > 0 {
		args.StatementTimeout = pulumi.Int(cfg.StatementTimeout)
	}
	if cfg.IdleInTransactionSessionTimeout > 0 {
		args.IdleInTransactionSessionTimeout = pulumi.Int(cfg.IdleInTransactionSessionTimeout)
	}
	args.BypassRowLevelSecurity, args.Login = pulumi.Bool(cfg.BypassRowLevelSecurity), pulumi.Bool(cfg.CanLogin)
	role, err := postgresql.NewRole(ctx, name+"-role", &args, slices.Concat(opts, []pulumi.ResourceOption{keepName()}, deployed.ReplacedOnExpiry(args.ValidUntil))...)
	if err != nil {
		return nil, err
	}
	login := &Login{Name: deployed.Unchanged(path, cfg.Name, role.Name), Passwords: pulumi.StringMap{}, Roles: []pulumi.Resource{role}}
	if args.ValidUntil != nil {
		login.Name = deployed.Require(login.Name, deployed.SameExpiry(strings.TrimSuffix(path, "name")+"validUntil", cfg.ValidUntil, role.ValidUntil))
	}
	login.Active = login.Name
	if len(cfg.Alternating) == 0 || cfg.CanLogin {
		login.Passwords[cfg.Name] = deployed.Require(password.Result, login.Name)
	}
	for i, alternating := range cfg.Alternating {
		// It acts as the role, so that row-level security policies see the same role in sessions of
		// both logins and of the role. Settings do not come by membership.
		other, err := newLogin(ctx, name+"-"+config.AlternatingSuffixes()[i], path, alternating, postgresql.RoleArgs{
			Roles:       pulumi.StringArray{login.Name},
			AssumeRole:  cmp.Or[pulumi.StringPtrInput](args.AssumeRole, login.Name),
			SearchPaths: args.SearchPaths,
			ValidUntil:  args.ValidUntil,
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

// passwordLength in letters and digits is 190 bits. Special characters would add little and break on
// the way: the provider doubles backslashes, URLs need escapes.
const passwordLength = 32

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

// verifierOf is what PostgreSQL gets in place of the password, as a secret. The server would write the
// plain text of CREATE ROLE into its log.
func verifierOf(password pulumi.StringOutput, role string) pulumi.StringOutput {
	return pulumi.ToSecret(password.ApplyT(func(password string) (string, error) {
		return scram.Verifier(password, role)
	})).(pulumi.StringOutput)
}
