"""The messages and enums of the contract, for ``client.raw`` and for what the layer leaves out."""

from prompt_ledger._proto.analytics_pb2 import *
from prompt_ledger._proto.chat_pb2 import *
from prompt_ledger._proto.code_registration_pb2 import *
from prompt_ledger._proto.content_pb2 import *
from prompt_ledger._proto.error_reason_pb2 import *
from prompt_ledger._proto.execution_event_pb2 import *
from prompt_ledger._proto.execution_pb2 import *
from prompt_ledger._proto.execution_record_pb2 import *
from prompt_ledger._proto.model_pb2 import *
from prompt_ledger._proto.prompt_pb2 import *
from prompt_ledger._proto.registry_changes_pb2 import *
from prompt_ledger._proto.registry_labels_pb2 import *
from prompt_ledger._proto.registry_pb2 import *
from prompt_ledger._proto.registry_prompts_pb2 import *
from prompt_ledger._proto.registry_transfer_pb2 import *
from prompt_ledger._proto.registry_versions_pb2 import *
from prompt_ledger._proto.registry_watch_pb2 import *
from prompt_ledger._proto.spec_pb2 import *
