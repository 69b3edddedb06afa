// Command conformance_driver is the driver of the conformance suite: it does what a scenario says, and prints what its user saw.
// clients/conformance/README.md is its protocol.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	promptledger "github.com/prompt-ledger/prompt-ledger/clients/go"
)

type object = map[string]any

type scenario struct {
	Options struct {
		Server         *string  `json:"server"`
		APIKey         *string  `json:"api_key"`
		Project        *string  `json:"project"`
		TLSCA          *string  `json:"tls_ca"`
		TLSCert        *string  `json:"tls_cert"`
		TLSKey         *string  `json:"tls_key"`
		AllowPlaintext bool     `json:"allow_plaintext"`
		Timeout        *float64 `json:"timeout"`
		Silence        *float64 `json:"silence"`
		Patience       *float64 `json:"patience"`
	} `json:"options"`
	Steps []json.RawMessage `json:"steps"`
}

func main() {
	if err := drive(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance_driver:", err)
		os.Exit(1)
	}
}

func drive() error {
	input := bufio.NewReader(os.Stdin)
	line, err := input.ReadBytes('\n')
	if err != nil {
		return err
	}
	var told scenario
	if err := json.Unmarshal(line, &told); err != nil {
		return err
	}
	ledger, err := promptledger.Connect(connectOptions(told)...)
	if err != nil {
		return writeLine(failure(err))
	}
	defer ledger.Close()
	driver := &driver{ledger: ledger, input: input, begun: map[string]any{}}
	for number, raw := range told.Steps {
		if err := driver.perform(number, raw); err != nil {
			return err
		}
	}
	return nil
}

func connectOptions(told scenario) []promptledger.Option {
	var options []promptledger.Option
	text := func(value *string, option func(string) promptledger.Option) {
		if value != nil {
			options = append(options, option(*value))
		}
	}
	duration := func(value *float64, option func(time.Duration) promptledger.Option) {
		if value != nil {
			options = append(options, option(seconds(*value)))
		}
	}
	given := told.Options
	text(given.Server, promptledger.WithServer)
	text(given.APIKey, promptledger.WithAPIKey)
	text(given.Project, promptledger.WithProject)
	text(given.TLSCA, promptledger.WithTLSCA)
	if given.TLSCert != nil && given.TLSKey != nil {
		options = append(options, promptledger.WithTLSCertificate(*given.TLSCert, *given.TLSKey))
	}
	if given.AllowPlaintext {
		options = append(options, promptledger.WithAllowPlaintext())
	}
	duration(given.Timeout, promptledger.WithTimeout)
	duration(given.Silence, promptledger.WithSilence)
	duration(given.Patience, promptledger.WithPatience)
	return options
}

func seconds(value float64) time.Duration { return time.Duration(value * float64(time.Second)) }

// driver has the scenario's client, and what its steps have begun.
type driver struct {
	ledger *promptledger.Client
	input  *bufio.Reader
	begun  map[string]any
	step   int
}

func (d *driver) perform(number int, raw json.RawMessage) error {
	d.step = number
	var told step
	if err := json.Unmarshal(raw, &told); err != nil {
		return err
	}
	action, ok := actions[told.Do]
	if !ok {
		return d.say("unsupported", nil)
	}
	err := action(d, context.Background(), told)
	if _, isLedgers := errors.AsType[*promptledger.LedgerError](err); isLedgers {
		return d.print(failure(err))
	}
	return err
}

func (d *driver) say(saw string, seen object) error {
	line := object{"saw": saw}
	for name, value := range seen {
		line[name] = value
	}
	return d.print(line)
}

func (d *driver) print(line object) error {
	line["step"] = d.step
	return writeLine(line)
}

// writeLine prints a line; standard output has no buffer.
func writeLine(line object) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(text, '\n'))
	return err
}

func failure(err error) object {
	seen := object{"saw": "error", "class": reflect.TypeOf(err).Elem().Name(), "message": err.Error()}
	if failed, ok := errors.AsType[*promptledger.ExecutionFailed](err); ok {
		execution := failed.Execution
		seen["execution_id"], seen["status"], seen["error_type"] = execution.ID, word(execution.Status), execution.ErrorType
		return seen
	}
	base, _ := errors.AsType[*promptledger.LedgerError](err)
	seen["reason"], seen["fields"], seen["metadata"] = base.Reason, base.Fields, base.Metadata
	if _, own := errors.AsType[*promptledger.ClientError](err); !own {
		seen["code"] = codeName(base.Code)
	}
	if base.RetryAfter != nil {
		seen["retry_after"] = base.RetryAfter.Seconds()
	}
	if missing, ok := errors.AsType[*promptledger.VariablesMissing](err); ok {
		seen["missing"] = missing.Missing()
	}
	return seen
}
