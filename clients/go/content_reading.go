package promptledger

import (
	"encoding/json"

	pb "github.com/prompt-ledger/prompt-ledger/clients/go/promptledger/v1"
)

// Contents as they are read, in the types that they are written by.

func readMessage(raw *pb.ChatMessage) Message {
	message := Message{
		Role:       raw.GetRole(),
		Content:    raw.GetContent(),
		Name:       raw.GetName(),
		ToolCalls:  readToolCalls(raw.GetToolCalls()),
		ToolCallID: raw.GetToolCallId(),
	}
	for _, part := range raw.GetParts() {
		if image := part.GetImage(); image != nil {
			message.Parts = append(message.Parts, ImagePart{
				URL:       image.GetUrl(),
				Data:      image.GetData(),
				MediaType: image.GetMediaType(),
				Detail:    image.GetDetail(),
			})
		} else {
			message.Parts = append(message.Parts, TextPart(part.GetText()))
		}
	}
	return message
}

func readConfig(raw *pb.VersionConfig) *Config {
	if raw == nil {
		return nil
	}
	config := &Config{Params: readParams(raw.Params), ToolChoice: readToolChoice(raw.ToolChoice)}
	if raw.Model != nil {
		config.Model = raw.Model.GetProvider() + "/" + raw.Model.GetModelName()
	}
	for _, tool := range raw.Tools {
		read := Tool{Name: tool.GetName(), Description: tool.GetDescription(), Strict: tool.GetStrict()}
		if tool.GetParametersJson() != "" {
			read.Parameters = json.RawMessage(tool.GetParametersJson())
		}
		config.Tools = append(config.Tools, read)
	}
	if format := raw.ResponseFormat; format != nil {
		config.ResponseFormat = &ResponseFormat{}
		if schema := format.GetJsonSchema(); schema != nil {
			*config.ResponseFormat = ResponseFormat{
				Name: schema.GetName(), Schema: json.RawMessage(schema.GetSchemaJson()), Strict: schema.GetStrict(),
			}
		}
	}
	if raw.Custom != nil {
		config.Custom = raw.Custom.AsMap()
	}
	return config
}

func readParams(raw *pb.ModelParams) *Params {
	if raw == nil {
		return nil
	}
	params := &Params{
		Temperature:       raw.Temperature,
		TopK:              raw.TopK,
		TopP:              raw.TopP,
		RepetitionPenalty: raw.RepetitionPenalty,
		MaxNewTokens:      raw.MaxNewTokens,
		Seed:              raw.Seed,
		FrequencyPenalty:  raw.FrequencyPenalty,
		PresencePenalty:   raw.PresencePenalty,
		ReasoningEffort:   raw.ReasoningEffort,
	}
	if raw.Stop != nil {
		params.Stop = append([]string{}, raw.Stop.GetValues()...)
	}
	if raw.Extra != nil {
		params.Extra = raw.Extra.AsMap()
	}
	return params
}

func readToolChoice(raw *pb.ToolChoice) *ToolChoice {
	if raw == nil {
		return nil
	}
	return &ToolChoice{Mode: toolChoiceWords.of(raw.GetMode()), Name: raw.GetName(), Parallel: raw.Parallel}
}
