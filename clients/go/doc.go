// Package promptledger is the client of Prompt Ledger, a control plane for GenAI prompts: prompts in one place, versioned by
// content, executed against model providers, and traced.
//
// [Connect] makes a [Client]. Its [Client.Run] executes a prompt within the call, [Client.Stream] tells what happens meanwhile,
// and [Client.Submit] hands it over to a worker. [Prompts] writes and reads prompts, [Client.PromptCache] keeps them in memory,
// and [Client.RegisterCodePrompts] registers those that live in code.
//
// Errors are told apart by their reason: each has a type, such as [PromptNotFound], which is also the type of its gRPC code,
// [NotFound], and a [LedgerError]:
//
//	var missing *promptledger.VariablesMissing
//	if errors.As(err, &missing) {
//		fmt.Println(missing.Missing())
//	}
//
// What the package does not have can be called by the generated stubs, [Client.Raw].
package promptledger

// Version is the version of this package.
const Version = "0.1.0"
