//! TLS and SASL are asked for where they should be.

mod support;

use embedded_kafka::testing;
use rdkafka::ClientConfig;
use support::{consume, create, plain, produce};

#[tokio::test]
async fn clients_come_in_by_tls_and_by_sasl() {
    let kafka = testing::own(|options| options.secured = true).await;
    let secured = kafka.secured().expect("it was asked for").clone();
    let path = |path: &std::path::Path| path.to_str().expect("it is text").to_owned();
    let mut tls = plain(&secured.tls_brokers);
    tls.set("security.protocol", "ssl").set("ssl.ca.location", path(&secured.ca));
    let without_certificate = tls.clone();
    tls.set("ssl.certificate.location", path(&secured.client_certificate));
    tls.set("ssl.key.location", path(&secured.client_key));
    create(&tls, "secrets", 1).await;
    produce(&tls, "secrets", "one").await;

    let sasl = |brokers: &str, protocol: &str, mechanism: &str, password: &str| -> ClientConfig {
        let mut config = plain(brokers);
        config.set("security.protocol", protocol).set("sasl.mechanism", mechanism);
        config.set("sasl.username", &secured.username).set("sasl.password", password);
        config.set("ssl.ca.location", path(&secured.ca));
        config
    };
    for (brokers, protocol) in [(&secured.sasl_brokers, "sasl_plaintext"), (&secured.sasl_tls_brokers, "sasl_ssl")] {
        for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
            let config = sasl(brokers, protocol, mechanism, &secured.password);
            assert_eq!(consume(&config, "secrets", 1).await, ["one"], "{protocol} {mechanism}");
        }
    }
    let wrong = sasl(&secured.sasl_tls_brokers, "sasl_ssl", "SCRAM-SHA-512", "wrong");
    for refused in [without_certificate, wrong, plain(&secured.tls_brokers)] {
        let client: rdkafka::consumer::BaseConsumer = refused.create().expect("a consumer");
        use rdkafka::consumer::Consumer;
        let answer = client.fetch_metadata(None, std::time::Duration::from_secs(3));
        assert!(answer.is_err(), "it should have been refused");
    }
    kafka.stop().await;
}
