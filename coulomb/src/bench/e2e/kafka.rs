//! The same load through processes of each role: with the log from Postgres, then through Kafka.

use anyhow::Context;
use embedded_kafka::EmbeddedKafka;
use event_store::kafka::KafkaOptions;
use schema::topics::Topics;

use super::probe::{Probe, Probed};
use super::{Args, Measured, measure, seed};
use crate::bench::line::BenchLine;
use crate::bench::platform::Server;
use crate::bench::processes::{Processes, Through};
use crate::master_key::MasterKey;
use crate::settings::Settings;

/// Of a Kafka that is started for this: what its own scripts give it.
const HEAP_MIB: u32 = 1_024;
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

pub async fn run(settings: &Settings, args: &Args, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
    let server = Server::start(settings).await?;
    let ran = on(&server, settings, args, out).await;
    server.stop().await?;
    ran
}

async fn on(server: &Server, settings: &Settings, args: &Args, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
    let (kafka, private) = match settings.kafka.options()? {
        Some(options) => (options, None),
        None => {
            let directory = tempfile::tempdir().context("no directory for a Kafka")?;
            let options = embedded_kafka::Options::new(directory.path().join("kafka"));
            let started = EmbeddedKafka::start(embedded_kafka::Options { heap_mib: Some(HEAP_MIB), ..options }).await;
            let started = started.context("no Kafka can be started: name one with KAFKA_BROKERS")?;
            (KafkaOptions::new(started.brokers()), Some((started, directory)))
        }
    };
    // Topics of this run alone.
    let prefix = format!("bench-{}", uuid::Uuid::now_v7().simple());
    let kafka = KafkaOptions { topics: Topics::new(prefix.as_str())?, ..kafka };
    let bench = Bench {
        server,
        master_key: settings.master_key.clone().unwrap_or_else(MasterKey::generate),
        password: MasterKey::generate().to_base64(),
        args,
    };
    let ran = bench.both(&kafka, out).await;
    if let Some((started, _directory)) = private {
        started.stop().await;
    }
    ran
}

struct Bench<'b> {
    server: &'b Server,
    master_key: MasterKey,
    password: String,
    args: &'b Args,
}

impl Bench<'_> {
    async fn both(&self, kafka: &KafkaOptions, out: &mut dyn FnMut(BenchLine)) -> anyhow::Result<()> {
        let mut alone = vec![];
        let over_postgres = self.start(None).await?;
        let measured = async {
            let token = seed::login(over_postgres.reach()).await.context("logging in")?;
            seed::chargers(over_postgres.reach(), &token, self.args.chargers)
                .await
                .context("registering the chargers")?;
            for rate in self.args.rates() {
                let measured = measure(over_postgres.reach(), &token, self.args, rate).await?;
                for (name, quantile) in QUANTILES {
                    let case = format!("charger frame to phone frame over Postgres at {rate}/s, {name}");
                    out(measured.line(case, measured.seen_ms(quantile), self.args));
                }
                alone.push(measured);
            }
            anyhow::Ok(())
        };
        let measured = measured.await;
        over_postgres.stop().await;
        measured?;

        let through = Through { brokers: kafka.brokers.clone(), prefix: kafka.topics.prefix().to_owned() };
        let over_kafka = self.start(Some(&through)).await?;
        let measured = async {
            let token = seed::login(over_kafka.reach()).await.context("logging in")?;
            for (rate, alone) in self.args.rates().into_iter().zip(&alone) {
                let measured = measure(over_kafka.reach(), &token, self.args, rate).await?;
                self.tell(rate, &measured, alone, out);
            }
            // Apart: a further consumer costs the broker as much as one of the platform's own.
            for rate in self.args.rates() {
                let probe = Probe::start(kafka, self.args.warm_up())?;
                let measured = measure(over_kafka.reach(), &token, self.args, rate).await?;
                tell_parts(rate, &measured, &probe.stop().await?, out);
            }
            anyhow::Ok(())
        };
        let measured = measured.await;
        over_kafka.stop().await;
        measured
    }

    async fn start(&self, through: Option<&Through>) -> anyhow::Result<Processes> {
        Processes::start(self.server.url(), &self.master_key, through, &self.password).await
    }

    fn tell(&self, rate: u32, measured: &Measured, alone: &Measured, out: &mut dyn FnMut(BenchLine)) {
        for (name, quantile) in QUANTILES {
            let case = format!("charger frame to phone frame through Kafka at {rate}/s, {name}");
            let line = measured.line(case, measured.seen_ms(quantile), self.args);
            out(line.beside("postgres alone", alone.seen_ms(quantile)));
        }
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let case = format!("charger frame to its acknowledgement beside Kafka at {rate}/s, {name}");
            let line = measured.line(case, measured.acknowledged_ms(quantile), self.args);
            out(line.beside("postgres alone", alone.acknowledged_ms(quantile)));
        }
    }
}

fn tell_parts(rate: u32, measured: &Measured, probed: &Probed, out: &mut dyn FnMut(BenchLine)) {
    for (part, figures) in [("commit to producing", &probed.produced), ("producing to consuming", &probed.consumed)] {
        for (name, quantile) in QUANTILES {
            let case = format!("{part} through Kafka at {rate}/s, {name}");
            let ms = figures.value_at_quantile(quantile) as f64 / 1000.0;
            let line = BenchLine::new("e2e", case, "ms", ms).detail("records", figures.len());
            let line = line.detail("rate_per_s", measured.rate);
            out(line.detail("charger_frame_to_phone_frame_p50_ms", measured.seen_ms(0.5)));
        }
    }
}
