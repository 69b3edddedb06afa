//! Receives announcements, and reconnects when the subscription breaks.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt as _;
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{CONNECTING, HEALTH, RedisInner, within};
use crate::link::{Part, reconnect, until_stop};
use crate::{Heard, wire};

impl RedisInner {
    pub(super) async fn keep_listening(self: Arc<Self>, stop: CancellationToken) {
        let again = AtomicBool::new(false);
        let subscription = || until_stop(&stop, self.one_subscription(&again));
        reconnect(&stop, &self.link, Part::Listening, subscription, || {}).await;
    }

    /// One subscription, until it breaks.
    async fn one_subscription(&self, again: &AtomicBool) -> RedisResult<Infallible> {
        let connecting = async {
            let mut subscription = self.client.get_async_pubsub().await?;
            subscription.subscribe(&self.channel).await?;
            Ok(subscription)
        };
        let (mut asked, mut messages) = within(CONNECTING, "subscribing took too long", connecting).await?.split();
        self.link.up(Part::Listening);
        if again.swap(true, Ordering::Relaxed) {
            // Announcements during the outage are lost.
            self.heard.say(Heard::Missed);
        }
        let heard = async {
            while let Some(message) = messages.next().await {
                for announcement in
                    wire::read_announcements(message.get_payload_bytes(), |topic| self.heard.is_heard(topic))
                {
                    self.heard.say(Heard::Announcement(announcement));
                }
            }
            Err(RedisError::from((ErrorKind::Io, "the subscription ended")))
        };
        let stands = async {
            loop {
                sleep(HEALTH).await;
                self.soon(asked.ping::<redis::Value>()).await?;
            }
        };
        tokio::select! {
            ended = heard => ended,
            ended = stands => ended,
        }
    }
}
