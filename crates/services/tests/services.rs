//! The real services: they start, are killed, restart, and leave nothing behind.

// In a test a panic is the report.
#![allow(clippy::unwrap_used)]

use prompt_ledger_services::{Postgres, Rabbit, Redis, sql};

#[tokio::test]
async fn a_postgres_keeps_what_was_committed_when_it_is_killed() {
    let mut postgres = Postgres::start().await;
    let url = postgres.url();
    sql(&url, "CREATE TABLE kept AS SELECT 7 AS number");
    postgres.kill();
    postgres.restart().await;
    assert_eq!(sql(&url, "SELECT number FROM kept"), "7\n");
    postgres.stop();
    postgres.restart().await;
    postgres.pause();
    postgres.resume();
    assert_eq!(sql(&url, "SELECT number FROM kept"), "7\n");
    assert!(postgres.log().contains("database system is ready"));
}

#[tokio::test]
async fn a_redis_comes_back_on_its_port() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    redis.flush().await;
    redis.kill();
    redis.restart().await;
    redis.pause();
    redis.resume();
    redis.flush().await;
    assert_eq!(redis.url(), url);
}

#[tokio::test]
async fn a_rabbit_comes_back_on_its_port() {
    let mut rabbit = Rabbit::start().await;
    let url = rabbit.url();
    rabbit.kill();
    rabbit.restart().await;
    assert_eq!(rabbit.url(), url);
}
