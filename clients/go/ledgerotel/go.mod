module github.com/prompt-ledger/prompt-ledger/clients/go/ledgerotel

go 1.26.0

require (
	github.com/prompt-ledger/prompt-ledger/clients/go v0.1.0
	go.opentelemetry.io/otel v1.47.0
	go.opentelemetry.io/otel/trace v1.47.0
	google.golang.org/grpc v1.85.0
)

require (
	github.com/BurntSushi/toml v1.6.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

// They are released together; whoever requires this module gets the released one.
replace github.com/prompt-ledger/prompt-ledger/clients/go => ../
