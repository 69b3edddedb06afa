//! Makes connections that end with whoever uses them, also while they are being made.
//!
//! The driver serves each connection in a thread of its own, which goes on where the future that makes the connection is
//! dropped: for as long as the broker neither answers nor closes it, or the system tries to reach its address.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

use lapin::tcp::{AMQPUriTcpExt as _, TLSConfig};
use lapin::uri::AMQPUri;
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, runtime};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A connection, and what closes its socket as it is dropped.
pub(super) async fn connect(uri: AMQPUri, properties: ConnectionProperties) -> lapin::Result<(Connection, DropGuard)> {
    let gone = CancellationToken::new();
    let guard = gone.clone().drop_guard();
    let runtime = runtime::default_runtime()?;
    let reactor = runtime.clone();
    let connect = async move |uri: AMQPUri, _| {
        let connecting = async {
            let stream = uri.connect_with_config_async(TLSConfig::default(), &reactor).await?;
            let socket = match &stream {
                AsyncTcpStream::Plain(stream) => another(stream.get_ref())?,
                AsyncTcpStream::Rustls(stream) => another(stream.get_ref().0.get_ref())?,
                _ => return Err(io::Error::from(io::ErrorKind::Unsupported)),
            };
            let gone = gone.clone();
            tokio::spawn(async move {
                gone.cancelled().await;
                // It may be closed already.
                socket.shutdown(Shutdown::Both).ok();
            });
            Ok(stream)
        };
        let connected = gone.run_until_cancelled(connecting).await;
        connected.unwrap_or_else(|| Err(io::ErrorKind::ConnectionAborted.into())).map_err(lapin::Error::from)
    };
    let connection = Connection::connector(uri, runtime, connect, properties).await?;
    Ok((connection, guard))
}

/// Another handle of a socket.
fn another(socket: impl AsFd) -> io::Result<TcpStream> {
    Ok(socket.as_fd().try_clone_to_owned()?.into())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use prompt_ledger_testkit::poll::eventually;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    /// How many connections each case makes: far more than other tests have.
    const TRIES: usize = 20;
    /// Longer than any step takes.
    const GENEROUS: Duration = Duration::from_secs(20);
    /// The first frame of a broker: the method Start of version 0.9, which names a mechanism and a locale.
    const START: &[u8] = b"\x01\0\0\0\0\0\x1c\0\x0a\0\x0a\0\x09\0\0\0\0\0\0\0\x05PLAIN\0\0\0\x05en_US\xce";

    /// The driver's threads.
    fn threads() -> usize {
        let names = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path().join("comm"));
        names.filter(|name| std::fs::read_to_string(name).is_ok_and(|name| name.trim() == "lapin-io-loop")).count()
    }

    #[tokio::test]
    async fn a_connection_that_is_given_up_while_it_is_made_leaves_neither_a_socket_nor_a_thread() {
        let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri: AMQPUri = format!("amqp://{}", broker.local_addr().unwrap()).parse().unwrap();
        for said in [b"", START] {
            for _ in 0..TRIES {
                let connecting = connect(uri.clone(), ConnectionProperties::default());
                let hanging = async {
                    let (mut socket, _) = broker.accept().await.unwrap();
                    let mut header = [0; 8];
                    socket.read_exact(&mut header).await.unwrap();
                    socket.write_all(said).await.unwrap();
                    // With the first byte of its answer to it.
                    if !said.is_empty() {
                        socket.read_u8().await.unwrap();
                    }
                    socket
                };
                let mut socket = tokio::select! {
                    made = connecting => panic!("it was made, or failed: {:?}", made.map(drop)),
                    socket = hanging => socket,
                };
                let mut rest = Vec::new();
                timeout(GENEROUS, socket.read_to_end(&mut rest)).await.expect("its socket stays open").unwrap();
            }
            let ended = async || Some(threads()).filter(|left| *left < TRIES).ok_or(());
            eventually("the threads' end", GENEROUS, ended).await;
        }
    }
}
