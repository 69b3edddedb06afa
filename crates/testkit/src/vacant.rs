//! An address without a server.

use tokio::net::TcpSocket;

/// A URL at which nobody listens while its socket is there.
#[must_use]
pub fn vacant() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    (socket, url)
}
