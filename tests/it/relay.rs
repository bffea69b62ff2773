//! The test support itself: a relay or a server that does not do as told would make other tests
//! pass for nothing.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult};

use crate::support::redis::{Listen, RedisServer};
use crate::support::relay::{Hit, Relay};

async fn connect(url: &str) -> MultiplexedConnection {
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    let client = redis::Client::open(url).unwrap();
    client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
}

async fn incr(connection: &mut MultiplexedConnection) -> RedisResult<i64> {
    redis::cmd("INCR").arg("n").query_async(connection).await
}

#[tokio::test]
async fn a_lost_reply_and_a_lost_request_look_the_same_but_for_the_effect() {
    for listen in [Listen::Socket, Listen::Port] {
        let server = RedisServer::with(listen, &[]);
        let relay = Relay::start(&server.url()).await;
        relay.hit("incr", 2, Hit::LoseReply);
        let mut connection = connect(&relay.url()).await;
        assert_eq!(incr(&mut connection).await.unwrap(), 1);
        assert!(incr(&mut connection).await.is_err());
        assert_eq!(relay.pending(), 0);
        assert_eq!(server.command::<i64>(&["GET", "n"]), 2, "it was carried out");
        relay.hit("incr", 1, Hit::LoseRequest);
        let mut connection = connect(&relay.url()).await;
        assert!(incr(&mut connection).await.is_err());
        assert_eq!(server.command::<i64>(&["GET", "n"]), 2, "it was not");
    }
}

#[tokio::test]
async fn requests_can_be_doubled_delayed_stalled_and_refused() {
    let server = RedisServer::new();
    let relay = Relay::start(&server.url()).await;
    let mut connection = connect(&relay.url()).await;
    relay.hit("INCR", 1, Hit::Duplicate);
    relay.hit("incr", 2, Hit::DelayReply(Duration::from_millis(20)));
    assert_eq!(incr(&mut connection).await.unwrap(), 1);
    assert_eq!(incr(&mut connection).await.unwrap(), 3);
    relay.stall();
    let mut other = connection.clone();
    let waiting = tokio::spawn(async move { incr(&mut other).await });
    assert_eq!(server.command::<i64>(&["GET", "n"]), 3);
    relay.flow();
    assert_eq!(waiting.await.unwrap().unwrap(), 4);
    relay.cut();
    assert!(incr(&mut connection).await.is_err());
    let mut connection = connect(&relay.url()).await;
    assert_eq!(incr(&mut connection).await.unwrap(), 5);
    relay.refuse();
    assert!(incr(&mut connection).await.is_err());
}

#[tokio::test]
async fn a_server_keeps_or_loses_its_data_as_configured() {
    let mut durable = RedisServer::new();
    let mut forgetful = RedisServer::forgetful();
    for server in [&mut durable, &mut forgetful] {
        server.command::<()>(&["SET", "k", "v"]);
        server.kill9();
        server.start();
    }
    assert_eq!(durable.command::<Option<String>>(&["GET", "k"]).as_deref(), Some("v"));
    assert_eq!(forgetful.command::<Option<String>>(&["GET", "k"]), None);
    durable.stop();
    durable.wipe();
    durable.start();
    assert_eq!(durable.command::<Option<String>>(&["GET", "k"]), None);
}

#[tokio::test]
async fn a_paused_server_answers_nothing_until_it_is_resumed() {
    let server = RedisServer::new();
    let mut connection = connect(&server.url()).await;
    server.pause();
    let waiting = tokio::spawn(async move { incr(&mut connection).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    server.resume();
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
}
