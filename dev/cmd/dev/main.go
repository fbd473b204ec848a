// Command local runs the dev stack on this machine; the Makefile has its verbs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"tenant-permissions/local"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("want one of up, preview, down, audit, psql, password")
	}
	var login local.Login
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&login.Tenant, "tenant", "", "connect as this tenant")
	flags.StringVar(&login.Name, "login", "", "connect as this login")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	// The Makefile runs this in the folder local of the checkout.
	dev, err := local.NewDev("..")
	if err != nil {
		return err
	}
	switch args[0] {
	case "up":
		return dev.Up(ctx)
	case "preview":
		return dev.Preview(ctx)
	case "down":
		return dev.Down()
	case "audit":
		return dev.Audit(ctx, flags.Args()...)
	case "psql":
		return dev.Psql(ctx, login, flags.Args()...)
	case "password":
		password, err := dev.Password(ctx, login)
		if err == nil {
			fmt.Println(password)
		}
		return err
	}
	return fmt.Errorf("unknown verb %q", args[0])
}
