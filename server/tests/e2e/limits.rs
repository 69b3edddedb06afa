//! The limits of one connection.

use std::time::Duration;

use prompt_ledger_proto::v1;
use prompt_ledger_testkit::fake_model::{FakeModel, Gate, Reply};
use prompt_ledger_testkit::ledger::spec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ledger;

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let ledger = ledger().env("HANDSHAKE_TIMEOUT", "2s").start().await;
    for said in [&b""[..], b"PRI * HTTP"] {
        let mut connection = TcpStream::connect(&ledger.addr).await.unwrap();
        connection.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(30), connection.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "the connection was kept");
    }
    ledger.active("greet", "hello").await;
}

#[tokio::test]
async fn calls_over_the_limit_of_one_connection_wait_for_their_turn() {
    let model = FakeModel::start().await;
    let ledger = ledger().openai(&model.base_url()).env("MAX_STREAMS", "2").start().await;
    ledger.active("greet", "hello").await;
    let gate = Gate::new();
    model.otherwise(Reply::echo().held(&gate));
    let runs = (0..5).map(|_| ledger.run(spec("greet", &[])));
    let observed = async {
        model.wait_for_calls(2).await;
        let most = model.in_flight();
        gate.open();
        most
    };
    let (ran, most) = futures::join!(futures::future::join_all(runs), observed);
    assert_eq!(most, 2);
    assert!(ran.iter().all(|execution| execution.status() == v1::ExecutionStatus::Succeeded));
}
