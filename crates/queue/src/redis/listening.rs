//! Hears announcements, connecting again as often as it takes.

use std::convert::Infallible;
use std::sync::Arc;

use futures::StreamExt as _;
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{CONNECTING, HEALTH, RedisInner, soon, why, within};
use crate::link::{PAUSE, Part, pause};
use crate::{Heard, wire};

impl RedisInner {
    pub(super) async fn keep_listening(self: Arc<Self>, stop: CancellationToken) {
        let mut again = false;
        loop {
            let began = Instant::now();
            let Some(Err(error)) = stop.run_until_cancelled(self.one_subscription(&mut again)).await else { return };
            self.link.down(Part::Listening, &why(&error));
            if began.elapsed() < PAUSE && !pause(&stop).await {
                return;
            }
        }
    }

    /// One subscription, until it breaks.
    async fn one_subscription(&self, again: &mut bool) -> RedisResult<Infallible> {
        let connecting = async {
            let mut subscription = self.client.get_async_pubsub().await?;
            subscription.subscribe(&self.channel).await?;
            Ok(subscription)
        };
        let (mut asked, mut messages) = within(CONNECTING, "subscribing took too long", connecting).await?.split();
        self.link.up(Part::Listening);
        if std::mem::replace(again, true) {
            // Nobody knows what was announced meanwhile.
            self.heard.say(Heard::Missed);
        }
        let heard = async {
            while let Some(message) = messages.next().await {
                for announcement in wire::read_announcements(message.get_payload_bytes()) {
                    self.heard.say(Heard::Announcement(announcement));
                }
            }
            Err(RedisError::from((ErrorKind::Io, "the subscription ended")))
        };
        let stands = async {
            loop {
                sleep(HEALTH).await;
                soon(asked.ping::<redis::Value>()).await?;
            }
        };
        tokio::select! {
            ended = heard => ended,
            ended = stands => ended,
        }
    }
}
