//! The queue: submitting, claiming, requeueing.

use std::collections::HashSet;
use std::time::Duration;

use prompt_ledger_domain::capabilities::ModelCapabilities;
use prompt_ledger_domain::execution::{ChatMessage, ErrorType, ExecutionMode, Input, Status};
use prompt_ledger_domain::ids::{ClaimId, ExecutionId};
use prompt_ledger_domain::model::{ModelRef, Usage};
use prompt_ledger_store::{
    CAPABILITY, Ended, EventLog, ExecutionFilter, ExecutionReader, ExecutionWriter, Fence, Holder, Leases, Maintenance,
    Models, NewExecution, PutModel, Recorded, Requeue, Subject,
};

use crate::kit::{
    Backend, a_new_execution, an_execution, claim, fence, finish, get, holder, key, new_id, new_price, providers,
    queued, running, submit, success, timeline, usage,
};

const HOUR: Duration = Duration::from_secs(3_600);

fn failed(used: Usage) -> Ended {
    Ended {
        error_type: Some(ErrorType::ProviderError),
        error_message: "try again".into(),
        provider_request_id: "req-0".into(),
        response_model: String::new(),
        requests: 1,
        usage: used,
        latency: Some(Duration::from_millis(70)),
    }
}

fn back(after: Duration, handed_back: bool) -> Requeue {
    Requeue { ended: failed(usage(1, 0, 1)), after, handed_back }
}

fn ids(claimed: &[prompt_ledger_store::Claimed]) -> Vec<ExecutionId> {
    claimed.iter().map(|claimed| claimed.fence.id).collect()
}

pub async fn a_submitted_execution_is_queued_and_reads_back_whole<B: Backend>(backend: &B) {
    let new = NewExecution { correlation_id: "c-1".into(), max_retries: 2, ..an_execution(backend).await };
    let Recorded::New(event) = submit(backend, &new).await else { panic!("it was not recorded") };
    let read = get(backend, &new).await;
    assert_eq!((read.status, read.mode, read.attempts), (Status::Queued, ExecutionMode::Async, 0));
    assert_eq!((read.started_at, read.completed_at, read.max_retries), (None, None, 2));
    assert_eq!((read.created_at, &*read.correlation_id), (event.at, "c-1"));
    assert_eq!((read.stream_text, read.next_attempt_at), (false, None), "a first attempt is no retry");
    assert_eq!(read.texts.unwrap().input, new.input);
    assert_eq!(backend.store().events(new.project_id, new.id, 0, 9).await.unwrap(), [event]);
    assert_eq!(timeline(backend, new.id).await, ["1 -> queued (0)"]);
}

pub async fn a_submit_repeated_with_its_own_id_answers_the_first_event<B: Backend>(backend: &B) {
    let new = NewExecution { key: key("order-1", 1), ..an_execution(backend).await };
    let first = submit(backend, &new).await;
    assert_eq!(submit(backend, &new).await, first, "only its answer was lost");
    assert_eq!(timeline(backend, new.id).await.len(), 1);
    let sync = NewExecution { id: ExecutionId(new_id()), key: None, ..new };
    let first = backend.store().start(sync.clone(), holder()).await.unwrap();
    assert_eq!(backend.store().start(sync, holder()).await.unwrap(), first);
}

pub async fn thirty_two_racing_submits_of_one_key_record_one<B: Backend>(backend: &B) {
    let first = NewExecution { key: key("order-1", 7), ..an_execution(backend).await };
    let racing: Vec<_> = (0..32).map(|_| NewExecution { id: ExecutionId(new_id()), ..first.clone() }).collect();
    let answers = futures::future::join_all(racing.iter().map(|new| submit(backend, new))).await;
    let winner =
        racing.iter().zip(&answers).filter(|(_, answer)| matches!(answer, Recorded::New(_))).map(|(new, _)| new.id);
    let winner: Vec<_> = winner.collect();
    assert_eq!(winner.len(), 1);
    for answer in &answers {
        if let Recorded::Existing(holder) = answer {
            assert_eq!((holder.id, holder.request_hash), (winner[0], [7; 32]));
        }
    }
    assert_eq!(backend.count("SELECT count(*) FROM executions").await, 1);
}

pub async fn a_claim_begins_the_next_attempt_with_all_it_needs<B: Backend>(backend: &B) {
    let new = NewExecution {
        expire_after: Some(HOUR),
        prompt_truncated: true,
        stream_text: true,
        params: prompt_ledger_domain::execution::Params { temperature: Some(0.1), ..Default::default() },
        ..an_execution(backend).await
    };
    submit(backend, &new).await;
    let claimed = claim(backend, &new, 1, holder()).await.unwrap();
    assert_eq!((claimed.fence, claimed.handed_back), (fence(new.id, 1), 0));
    assert_eq!(claimed.available_at, claimed.created_at, "by its hint at once");
    assert_eq!((&claimed.input, claimed.prompt_truncated), (&new.input, true));
    assert_eq!((&claimed.model, &claimed.params, claimed.timeout), (&new.model, &new.params, new.timeout));
    assert_eq!((claimed.max_retries, claimed.used, claimed.stream_text), (new.max_retries, Usage::default(), true));
    assert!(claimed.expires_in.is_some_and(|left| left > HOUR / 2 && left <= HOUR));
    let read = get(backend, &new).await;
    assert_eq!((read.status, read.attempts, read.started_at), (Status::Running, 1, Some(claimed.event.at)));
    let events = backend.store().events(new.project_id, new.id, 1, 9).await.unwrap();
    assert_eq!(events, [claimed.event]);
    let done = finish(backend, &new, 1, success()).await;
    assert_eq!((done.status, &*done.attempt_log[0].worker), (Status::Succeeded, "server-1"));
    let steps = ["1 -> queued (0)", "2 queued -> running (1)", "3 running -> succeeded (1)"];
    assert_eq!(timeline(backend, new.id).await, steps);
}

pub async fn a_hint_that_comes_twice_claims_once<B: Backend>(backend: &B) {
    let new = queued(backend).await;
    let twice = vec![fence(new.id, 1), fence(new.id, 1)];
    assert_eq!(ids(&backend.store().claim(twice.clone(), providers(), holder()).await.unwrap()), [new.id]);
    assert_eq!(backend.store().claim(twice, providers(), holder()).await.unwrap(), []);
    finish(backend, &new, 1, success()).await;
    assert_eq!(claim(backend, &new, 2, holder()).await, None, "an end is final");
    assert_eq!(backend.store().claim(vec![], providers(), holder()).await.unwrap(), []);
}

pub async fn what_needs_a_later_release_is_left_alone<B: Backend>(backend: &B) {
    let new = queued(backend).await;
    let later = CAPABILITY + 1;
    let sql = format!("UPDATE executions SET needs = {later}, available_at = created_at WHERE id = '{}'", new.id);
    backend.execute(sql).await.unwrap();
    assert!(claim(backend, &new, 1, holder()).await.is_none(), "by its hint");
    assert_eq!(backend.store().claim_due(9, providers(), holder()).await.unwrap(), [], "as due");
    backend.execute(format!("UPDATE executions SET needs = 0 WHERE id = '{}'", new.id)).await.unwrap();
    assert!(claim(backend, &new, 1, holder()).await.is_some());
}

pub async fn a_hint_of_another_attempt_claims_only_what_is_due<B: Backend>(backend: &B) {
    let new = queued(backend).await;
    assert_eq!(claim(backend, &new, 2, holder()).await, None);
    let due = NewExecution { id: ExecutionId(new_id()), ..new };
    backend.store().submit(due.clone(), Duration::ZERO).await.unwrap();
    assert_eq!(claim(backend, &due, 9, holder()).await.unwrap().fence, fence(due.id, 1));
}

pub async fn a_full_claim_takes_what_is_due_in_order<B: Backend>(backend: &B) {
    let later = queued(backend).await;
    let due: Vec<_> = (0..5).map(|_| NewExecution { id: ExecutionId(new_id()), ..later.clone() }).collect();
    for new in &due {
        backend.store().submit(new.clone(), Duration::ZERO).await.unwrap();
    }
    let taken = |claimed: Vec<prompt_ledger_store::Claimed>| ids(&claimed).into_iter().collect::<HashSet<_>>();
    let first = taken(backend.store().claim_due(3, providers(), holder()).await.unwrap());
    assert_eq!(first, due[..3].iter().map(|new| new.id).collect());
    let second = taken(backend.store().claim_due(9, providers(), holder()).await.unwrap());
    assert_eq!(second, due[3..].iter().map(|new| new.id).collect());
    assert_eq!(backend.store().claim_due(9, providers(), holder()).await.unwrap(), [], "the other's time has not come");
    assert_eq!(get(backend, &later).await.status, Status::Queued);
}

pub async fn a_claim_takes_only_what_its_process_can_call<B: Backend>(backend: &B) {
    let first = queued(backend).await;
    let of = |provider: &str| {
        let model = ModelRef { provider: provider.into(), model_name: "m".into() };
        NewExecution { id: ExecutionId(new_id()), model, ..first.clone() }
    };
    // Those of providers that nobody has are the oldest.
    let all = ["vllm", "vllm", "vllm", "azure", "claude", "azure", "claude"].map(of);
    for new in &all {
        backend.store().submit(new.clone(), Duration::ZERO).await.unwrap();
    }
    let hints: Vec<Fence> = all.iter().map(|new| fence(new.id, 1)).collect();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (azure, claude, both) = (names(&["azure"]), names(&["claude"]), names(&["claude", "azure", "none"]));
    let taken = |claimed: Vec<prompt_ledger_store::Claimed>| ids(&claimed).into_iter().collect::<HashSet<_>>();
    let expected = |at: &[usize]| at.iter().map(|at| all[*at].id).collect::<HashSet<_>>();
    assert_eq!(backend.store().claim(hints.clone(), &[], holder()).await.unwrap(), []);
    assert_eq!(backend.store().claim_due(9, &[], holder()).await.unwrap(), []);
    let one = backend.store().claim_due(1, &both, holder()).await.unwrap();
    assert_eq!(taken(one), expected(&[3]), "the oldest of all that it can call");
    let hinted = tokio::join!(
        backend.store().claim(hints.clone(), &claude, holder()),
        backend.store().claim(hints, &azure, holder()),
    );
    assert_eq!(taken(hinted.0.unwrap()), expected(&[4, 6]));
    assert_eq!(taken(hinted.1.unwrap()), expected(&[5]));
    assert_eq!(backend.store().claim_due(9, &both, holder()).await.unwrap(), []);
    let vllm = backend.store().claim_due(9, &names(&["vllm"]), holder()).await.unwrap();
    assert_eq!(taken(vllm), expected(&[0, 1, 2]));
}

pub async fn racing_claims_share_without_overlap<B: Backend>(backend: &B) {
    let first = queued(backend).await;
    let all: Vec<_> = (0..40).map(|_| NewExecution { id: ExecutionId(new_id()), ..first.clone() }).collect();
    for new in &all {
        backend.store().submit(new.clone(), Duration::ZERO).await.unwrap();
    }
    let hints: Vec<Fence> = all.iter().map(|new| fence(new.id, 1)).collect();
    let hinted = (0..4).map(|_| backend.store().claim(hints.clone(), providers(), holder()));
    let due = (0..4).map(|_| backend.store().claim_due(20, providers(), holder()));
    let (hinted, due) = tokio::join!(futures::future::join_all(hinted), futures::future::join_all(due));
    let mut taken: Vec<_> = hinted.into_iter().chain(due).flat_map(|claimed| ids(&claimed.unwrap())).collect();
    // Rows that two claims competed for may be left to a later claim.
    taken.extend(ids(&backend.store().claim_due(100, providers(), holder()).await.unwrap()));
    let different: HashSet<_> = taken.iter().collect();
    assert_eq!((taken.len(), different.len()), (40, 40));
}

pub async fn what_runs_with_a_claim_is_found_by_it<B: Backend>(backend: &B) {
    let (mine, other) = (holder(), holder());
    let new = running(backend, mine.clone()).await;
    let found = backend.store().claimed(mine.claim_id).await.unwrap();
    assert_eq!((found[0].fence, &found[0].input), (fence(new.id, 1), &new.input));
    assert_eq!(backend.store().claimed(other.claim_id).await.unwrap(), []);
    let sync = NewExecution { id: ExecutionId(new_id()), ..new.clone() };
    backend.store().start(sync.clone(), other.clone()).await.unwrap();
    assert_eq!(ids(&backend.store().claimed(other.claim_id).await.unwrap()), [sync.id]);
    finish(backend, &new, 1, success()).await;
    assert_eq!(backend.store().claimed(mine.claim_id).await.unwrap(), []);
}

pub async fn a_requeued_execution_waits_for_its_time<B: Backend>(backend: &B) {
    let new = running(backend, holder()).await;
    let event = backend.store().requeue(fence(new.id, 1), back(HOUR, false)).await.unwrap().unwrap();
    assert_eq!((event.sequence, event.to, event.attempt), (3, Status::Queued, 1));
    assert_eq!((event.error_type, event.next_attempt_at), (Some(ErrorType::ProviderError), Some(event.at.after(HOUR))));
    let next_attempt_at = event.next_attempt_at;
    assert_eq!(backend.store().events(new.project_id, new.id, 2, 9).await.unwrap(), [event]);
    let read = get(backend, &new).await;
    assert_eq!((read.status, read.attempts, read.attempt_log.len()), (Status::Queued, 1, 1));
    let listed = backend.store().list(new.project_id, &ExecutionFilter::default(), None, 9, false).await.unwrap().rows;
    assert_eq!((read.next_attempt_at, listed[0].next_attempt_at), (next_attempt_at, next_attempt_at));
    assert_eq!(backend.store().claim_due(9, providers(), holder()).await.unwrap(), []);
    assert_eq!(claim(backend, &new, 1, holder()).await, None, "the old hint is worth nothing");
    let holder_again = holder();
    let again = claim(backend, &new, 2, holder_again.clone()).await.unwrap();
    assert_eq!((again.fence, Some(again.available_at)), (fence(new.id, 2), next_attempt_at));
    let found = backend.store().claimed(holder_again.claim_id).await.unwrap();
    assert_eq!(Some(found[0].available_at), next_attempt_at, "also where the claim's answer was lost");
    let running = get(backend, &new).await;
    assert_eq!(running.started_at, read.started_at, "the first claim is the start");
    assert_eq!(running.next_attempt_at, None);
    let event = backend.store().requeue(fence(new.id, 2), back(Duration::ZERO, false)).await.unwrap().unwrap();
    let third = backend.store().claim_due(9, providers(), holder()).await.unwrap().remove(0);
    assert_eq!((third.fence, third.available_at), (fence(new.id, 3), event.at));
}

pub async fn a_hand_back_does_not_count<B: Backend>(backend: &B) {
    let new = running(backend, holder()).await;
    backend.store().requeue(fence(new.id, 1), back(Duration::ZERO, true)).await.unwrap().unwrap();
    let claimed = claim(backend, &new, 2, holder()).await.unwrap();
    assert_eq!((claimed.fence.attempt, claimed.handed_back), (2, 1));
    backend.store().requeue(fence(new.id, 2), back(Duration::ZERO, false)).await.unwrap().unwrap();
    assert_eq!(claim(backend, &new, 3, holder()).await.unwrap().handed_back, 1);
}

pub async fn used_tokens_and_the_price_come_with_the_next_claim<B: Backend>(backend: &B) {
    let id = ModelRef { provider: "local".into(), model_name: "llama".into() };
    let put = PutModel {
        id,
        max_tokens: None,
        supports_streaming: None,
        capabilities: ModelCapabilities::default(),
        price: Some(new_price(3, 5)),
    };
    let price = backend.store().put_model(put).await.unwrap().prices.remove(0);
    let new = NewExecution { price_id: Some(price.id), ..an_execution(backend).await };
    submit(backend, &new).await;
    assert_eq!(claim(backend, &new, 1, holder()).await.unwrap().price, Some(price.clone()));
    backend.store().requeue(fence(new.id, 1), back(Duration::ZERO, false)).await.unwrap().unwrap();
    let claimed = claim(backend, &new, 2, holder()).await.unwrap();
    assert_eq!((claimed.used, claimed.price), (usage(1, 0, 1), Some(price)));
}

pub async fn whether_the_model_streams_comes_with_a_claim<B: Backend>(backend: &B) {
    let new = an_execution(backend).await;
    for (supports_streaming, streams) in [(None, true), (Some(false), false), (Some(true), true)] {
        if let Some(supports_streaming) = supports_streaming {
            let put = PutModel {
                id: new.model.clone(),
                max_tokens: None,
                supports_streaming: Some(supports_streaming),
                price: None,
                capabilities: ModelCapabilities::default(),
            };
            backend.store().put_model(put).await.unwrap();
        }
        let new = NewExecution { id: ExecutionId(new_id()), stream_text: true, ..new.clone() };
        submit(backend, &new).await;
        let claimed = claim(backend, &new, 1, holder()).await.unwrap();
        assert_eq!((claimed.stream_text, claimed.model_streams), (true, streams));
    }
}

pub async fn what_an_execution_is_of_comes_with_a_claim<B: Backend>(backend: &B) {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().ok();
    let new = NewExecution { correlation_id: "order-7".into(), trace, ..an_execution(backend).await };
    let Recorded::New(event) = submit(backend, &new).await else { panic!("it was not recorded") };
    let claimed = claim(backend, &new, 1, holder()).await.unwrap();
    let Subject { project, prompt_name, version_number, correlation_id, trace: told } = claimed.subject;
    assert_eq!((&*project, &*prompt_name, version_number, &*correlation_id), ("default", "greet", 1, "order-7"));
    assert!(told == trace && trace.is_some());
    assert!(claimed.created_at == event.at && claimed.event.at >= event.at);
    let bare = NewExecution { trace: None, correlation_id: String::new(), ..a_new_execution(&new) };
    submit(backend, &bare).await;
    let claimed = claim(backend, &bare, 1, holder()).await.unwrap();
    assert_eq!((claimed.subject.trace, &*claimed.subject.correlation_id), (None, ""));
}

pub async fn messages_come_with_a_claim<B: Backend>(backend: &B) {
    let messages = vec![ChatMessage::text("user", "hi \"there\"")];
    let new = NewExecution { input: Input::Messages(messages), ..an_execution(backend).await };
    submit(backend, &new).await;
    assert_eq!(claim(backend, &new, 1, holder()).await.unwrap().input, new.input);
}

pub async fn many_batches_over_the_same_rows_stay_consistent<B: Backend>(backend: &B) {
    let first = queued(backend).await;
    let all: Vec<_> = (0..30).map(|_| NewExecution { id: ExecutionId(new_id()), ..first.clone() }).collect();
    for new in &all {
        backend.store().submit(new.clone(), Duration::ZERO).await.unwrap();
    }
    let (store, all) = (backend.store(), &all);
    // Eight workers claim, extend, requeue and finish; one task cancels; one expires leases, a third of which have a
    // length of zero.
    let worker = |number: usize| async move {
        for round in 0..12 {
            let lease = if (round + number).is_multiple_of(3) { Duration::ZERO } else { HOUR };
            let holder = Holder { lease, claim_id: ClaimId(new_id()), ..holder() };
            let claimed = store.claim_due(8, providers(), holder).await.unwrap();
            let held: Vec<Fence> = claimed.iter().map(|claimed| claimed.fence).collect();
            store.extend(&held, lease).await.unwrap();
            let ends = held.iter().enumerate().map(|(i, fence)| async move {
                match (i + round) % 3 {
                    0 => store.finish(*fence, success()).await.unwrap(),
                    _ => store.requeue(*fence, back(Duration::ZERO, false)).await.unwrap(),
                }
            });
            futures::future::join_all(ends).await;
        }
    };
    let cancels = async {
        for new in all.iter().step_by(4) {
            // The execution may have ended already.
            store.cancel(new.project_id, new.id, "a mistake").await.ok();
        }
    };
    let sweeps = async {
        for _ in 0..20 {
            store.expire(Duration::ZERO).await.unwrap();
        }
    };
    tokio::join!(futures::future::join_all((0..8).map(worker)), cancels, sweeps);
    for new in all {
        let (read, events) = (get(backend, new).await, store.events(new.project_id, new.id, 0, 500).await.unwrap());
        assert!(events.windows(2).all(|two| two[1].sequence == two[0].sequence + 1 && two[1].from == Some(two[0].to)));
        let last = events.last().unwrap();
        assert_eq!((events[0].sequence, last.to), (1, read.status));
        assert_eq!(
            events.iter().filter(|event| event.to.is_terminal()).count(),
            usize::from(read.status.is_terminal())
        );
        let begun = events.iter().filter(|event| event.to == Status::Running).count();
        assert_eq!(i32::try_from(begun).unwrap(), read.attempts);
        let open = usize::from(read.status == Status::Running);
        assert_eq!(read.attempt_log.len() + open, begun, "each attempt that ended is logged once");
    }
}
