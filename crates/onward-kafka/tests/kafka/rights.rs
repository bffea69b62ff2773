//! On a real broker that asks who one is and what one may do.

use onward::ErrorKind;
use onward_kafka::Settings;

use crate::support::lake::{Lake, Running, settings};
use crate::support::redis::free_port;
use crate::support::server::Server;
use crate::support::topics::{Topics, member};

/// A broker with a second listener where users log in, and where nobody may do anything that was not allowed.
async fn guarded() -> (Server, String) {
    let port = free_port();
    let more = format!(
        "listeners=PLAINTEXT://127.0.0.1:@PORT@,CONTROLLER://127.0.0.1:@CONTROLLER@,SASL://127.0.0.1:{port}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:@PORT@,SASL://127.0.0.1:{port}\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT\n\
         sasl.enabled.mechanisms=PLAIN\n\
         listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_reader=\"secret\";\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS\n"
    );
    (Server::with(&more).await, format!("127.0.0.1:{port}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_once_and_clearly_and_nothing_is_lost_by_it() {
    let (lake, topic) = (Lake::new().await, "guarded");
    let (server, brokers) = guarded().await;
    let topics = Topics::at(&server.brokers());
    topics.create(topic, 2).await;
    let sent = topics.fill(topic, 2, 10).await;
    let start = |settings: Settings, password: &str| -> Running {
        let login = [
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanisms", "PLAIN"),
            ("sasl.username", "reader"),
            ("sasl.password", password),
        ];
        let broker = member(&brokers, &settings.group, &[topic], &login);
        lake.start(settings, broker)
    };
    let refused = |password: &'static str, why: &'static str| {
        let running = start(settings("g", &[topic]), password);
        async move {
            let error = running.end().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Forbidden, "{error:?}");
            assert!(error.message().contains(why), "{error}");
        }
    };
    refused("wrong", "refuse this login").await;
    refused("secret", "may not read the topic").await;
    server.allow("reader", "topic", topic);
    refused("secret", "may not be in the consumer group").await;
    assert!(lake.files().await.is_empty());
    server.allow("reader", "group", "g");
    let mut to_the_end = settings("g", &[topic]);
    to_the_end.exit_at_end = true;
    start(to_the_end, "secret").end().await.unwrap();
    assert_eq!(lake.offsets(topic).await, sent);
}
