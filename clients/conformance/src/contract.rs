//! The contract's messages in protobuf's JSON form, with the names of the fields as in `proto/`.

use prompt_ledger_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::Value;

/// All messages and methods of the contract.
#[derive(Clone, Debug)]
pub struct Contract(DescriptorPool);

impl Default for Contract {
    fn default() -> Self {
        Self(DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("the contract's descriptors are whole"))
    }
}

impl Contract {
    /// The method of a path such as `promptledger.v1.RegistryService/GetPrompt`.
    #[must_use]
    pub fn method(&self, path: &str) -> Option<MethodDescriptor> {
        let (service, method) = path.split_once('/')?;
        self.0.get_service_by_name(service)?.methods().find(|known| known.name() == method)
    }

    /// A message by its name in the package.
    ///
    /// # Panics
    /// Where the contract has none.
    #[must_use]
    pub fn message(&self, name: &str) -> MessageDescriptor {
        let full = format!("promptledger.v1.{name}");
        self.0.get_message_by_name(&full).unwrap_or_else(|| panic!("the contract has no message {full}"))
    }

    /// A message of a generated type.
    ///
    /// # Errors
    /// Where the JSON is no such message.
    pub fn read<T: Message + Default>(&self, name: &str, json: &Value) -> Result<T, String> {
        let bytes = encode(self.message(name), json)?;
        T::decode(bytes.as_slice()).map_err(|error| error.to_string())
    }
}

/// The encoded message.
///
/// # Errors
/// Where the JSON is no such message.
pub fn encode(message: MessageDescriptor, json: &Value) -> Result<Vec<u8>, String> {
    let name = message.full_name().to_owned();
    let read = DynamicMessage::deserialize(message, json.clone());
    read.map(|message| message.encode_to_vec()).map_err(|error| format!("{json} is no {name}: {error}"))
}

/// The JSON of an encoded message; null where it cannot be read.
#[must_use]
pub fn decode(message: MessageDescriptor, bytes: &[u8]) -> Value {
    let options = SerializeOptions::new().stringify_64_bit_integers(false).use_proto_field_name(true);
    let Ok(message) = DynamicMessage::decode(message, bytes) else { return Value::Null };
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_go_both_ways() {
        let contract = Contract::default();
        let spec = json!({"prompt_name": "greet", "timeout": "2s", "max_retries": 1, "variables": {"name": "Ada"}});
        let read: prompt_ledger_proto::v1::ExecutionSpec = contract.read("ExecutionSpec", &spec).unwrap();
        assert_eq!((&*read.prompt_name, read.max_retries, read.timeout.unwrap().seconds), ("greet", Some(1), 2));
        let mut shown = decode(contract.message("ExecutionSpec"), &read.encode_to_vec());
        assert_eq!(shown["variables"]["name"], "Ada");
        shown["prompt"] = json!(1);
        assert!(contract.read::<prompt_ledger_proto::v1::ExecutionSpec>("ExecutionSpec", &shown).is_err());
        assert!(contract.method("promptledger.v1.ExecutionService/RunExecution").is_some());
        assert!(contract.method("promptledger.v1.ExecutionService/Nothing").is_none());
    }
}
