// Command register-prompts registers the prompts of a folder, for CI and deployments.
//
//	register-prompts [--dry-run] [--no-activate] [--created-by NAME] [--repository NAME] [--commit HASH] FOLDER
//
// It connects as the environment says. With --dry-run nothing is written: it prints the difference, and exits with 1 where there is
// one. It exits with 2 where something fails.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := register(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func register(ctx context.Context, arguments []string, out, complaints io.Writer) int {
	flags := flag.NewFlagSet("register-prompts", flag.ContinueOnError)
	flags.SetOutput(complaints)
	dryRun := flags.Bool("dry-run", false, "write nothing; exit with 1 where something would be written")
	noActivate := flags.Bool("no-activate", false, "register without making the versions the active ones")
	createdBy := flags.String("created-by", "", "`NAME` of who registers them")
	repository := flags.String("repository", "", "`NAME` of where the code comes from")
	commit := flags.String("commit", "", "`HASH` of the commit that this is")
	if err := flags.Parse(arguments); err != nil {
		return 2
	}
	if flags.NArg() != 1 {
		fmt.Fprintln(complaints, "usage: register-prompts [OPTIONS] FOLDER: shop/greeting.hbs is the prompt shop.greeting")
		return 2
	}
	options := []promptledger.RegisterOption{promptledger.WithCreatedBy(*createdBy)}
	if *dryRun {
		options = append(options, promptledger.WithDryRun())
	}
	if *noActivate {
		options = append(options, promptledger.WithSetActive(false))
	}
	if *repository != "" || *commit != "" {
		options = append(options, promptledger.WithSource(*repository, *commit))
	}
	registration, err := registerFolder(ctx, flags.Arg(0), options)
	if err != nil {
		fmt.Fprintln(complaints, "error:", err)
		return 2
	}
	for _, prompt := range registration.Registered {
		fmt.Fprintf(out, "%s: %s, version %d\n", prompt.Name, prompt.Action, prompt.Version)
		for _, warning := range prompt.Warnings {
			fmt.Fprintf(out, "  warning: %s\n", warning)
		}
	}
	fmt.Fprint(out, registration.Diff)
	if *dryRun {
		return registration.ExitCode()
	}
	return 0
}

func registerFolder(ctx context.Context, folder string, options []promptledger.RegisterOption) (*promptledger.Registration, error) {
	ledger, err := promptledger.Connect()
	if err != nil {
		return nil, err
	}
	defer ledger.Close()
	return ledger.RegisterCodePrompts(ctx, promptledger.CodeFolder(folder), options...)
}
