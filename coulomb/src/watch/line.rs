//! One line for each change.

use std::io::{self, Write};

use chrono::Local;
use serde_json::Value;
use simulator::phone::{Heard, LineEvent};

#[derive(Clone, Copy, Debug)]
pub struct Style {
    pub json: bool,
    pub color: bool,
}

/// Prints what is news.
pub fn print(out: &mut impl Write, event: &LineEvent, style: Style) -> io::Result<()> {
    match event {
        LineEvent::Message { message, .. } if style.json => writeln!(out, "{message}"),
        LineEvent::Connected | LineEvent::NotFollowed { .. } | LineEvent::Lost { .. } if style.json => Ok(()),
        LineEvent::Connected => say(out, style, "connected", ""),
        LineEvent::Lost { why, again_in } => {
            say(out, style, "connection lost", &format!("{why}; again in {:.1} s", again_in.as_secs_f64()))
        }
        LineEvent::NotFollowed { topic, why, again_in } => {
            let again = again_in.map(|wait| format!("; again in {:.1} s", wait.as_secs_f64())).unwrap_or_default();
            say(out, style, "not followed", &format!("{topic}: {}{again}", why.text()))
        }
        LineEvent::Message { message, heard: Heard::News } => news(out, message, style),
        LineEvent::Message { .. } => Ok(()),
    }
}

fn news(out: &mut impl Write, message: &Value, style: Style) -> io::Result<()> {
    let data = &message["data"];
    match message["type"].as_str() {
        Some("snapshot") => {
            let lists = ["chargers", "sessions", "commands"].map(|list| data[list].as_array());
            if lists.iter().all(Option::is_none) {
                return resource(out, data, style, false);
            }
            let mut resources = lists.into_iter().flatten().flatten().peekable();
            if resources.peek().is_none() {
                return say(out, style, "nothing yet", message["topic"].as_str().unwrap_or_default());
            }
            resources.try_for_each(|data| resource(out, data, style, false))
        }
        Some("resumed" | "live") => Ok(()),
        _ => resource(out, data, style, message["removed"] == true),
    }
}

fn resource(out: &mut impl Write, data: &Value, style: Style, removed: bool) -> io::Result<()> {
    let word = |name: &str| data[name].as_str().unwrap_or("–");
    let number = |name: &str| data[name].as_f64();
    if data["command_id"].is_string() {
        let reason = data["reason"].as_str().map(|reason| format!("  {reason}")).unwrap_or_default();
        let text = format!("{:<12} {}{reason}", word("charger_id"), word("kind"));
        return line(out, style, "command", word("state"), &text);
    }
    if data["session_id"].is_string() {
        let place = format!("{}/{}", word("charger_id"), data["connector_id"]);
        let mut text = format!("{place:<12}");
        if let Some(energy_wh) = number("energy_wh") {
            text.push_str(&format!("{:>9.3} kWh", energy_wh / 1000.0));
        }
        if let Some(power_w) = number("power_w") {
            text.push_str(&format!("{:>7.1} kW", power_w / 1000.0));
        }
        if let Some(soc) = number("soc_percent") {
            text.push_str(&format!("{soc:>5.0} %"));
        }
        if let (Some(amount), Some(currency)) = (data["cost"]["amount"].as_str(), data["cost"]["currency"].as_str()) {
            text.push_str(&format!("{amount:>8} {currency}"));
        }
        let why = [&data["needs"], &data["failure"]["detail"], &data["stop_reason"]];
        if let Some(why) = why.into_iter().find_map(Value::as_str) {
            text.push_str(&format!("  {why}"));
        }
        if removed {
            text.push_str("  (over)");
        }
        return line(out, style, "session", word("state"), &text);
    }
    let connectors = data["connectors"].as_array().into_iter().flatten();
    let connectors: Vec<String> = connectors
        .map(|connector| format!("{} {}", connector["connector_id"], connector["status"].as_str().unwrap_or("–")))
        .collect();
    let text = format!("{:<12} {}", word("charger_id"), connectors.join(" · "));
    line(out, style, "charger", word("status"), &text)
}

fn line(out: &mut impl Write, style: Style, kind: &str, state: &str, text: &str) -> io::Result<()> {
    let time = Local::now().format("%H:%M:%S");
    let text = text.trim_end();
    match color(state).filter(|_| style.color) {
        Some(color) => writeln!(out, "{time}  {kind:<8} \x1b[{color}m{state:<11}\x1b[0m {text}"),
        None => writeln!(out, "{time}  {kind:<8} {state:<11} {text}"),
    }
}

fn say(out: &mut impl Write, style: Style, what: &str, text: &str) -> io::Result<()> {
    let time = Local::now().format("%H:%M:%S");
    let line = format!("{time}  {what}  {text}");
    let line = line.trim_end();
    if style.color { writeln!(out, "\x1b[2m{line}\x1b[0m") } else { writeln!(out, "{line}") }
}

/// Of ANSI terminals: green for what is well, yellow for what is under way, red for what has failed.
fn color(state: &str) -> Option<u8> {
    Some(match state {
        "available" | "completed" | "done" => 32,
        "charging" | "active" => 36,
        "preparing" | "requested" | "sent" | "accepted" | "stopping" | "suspended" | "finishing" | "occupied" => 33,
        "faulted" | "failed" | "rejected" | "timed_out" | "expired" => 31,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(event: &LineEvent, style: Style) -> String {
        let mut out = Vec::new();
        print(&mut out, event, style).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn message(message: Value, heard: Heard) -> LineEvent {
        LineEvent::Message { message, heard }
    }

    #[test]
    fn a_session_is_one_readable_line() {
        let session = json!({"session_id": "s", "charger_id": "CP001", "connector_id": 2, "state": "active",
            "energy_wh": 1234, "power_w": 49_800.5, "soc_percent": 63, "cost": {"amount": "0.61", "currency": "EUR"}});
        let update = json!({"type": "session_updated", "topic": "me", "key": "session:s", "data": session});
        let plain = Style { json: false, color: false };
        let line = printed(&message(update.clone(), Heard::News), plain);
        assert!(
            line.contains("session  active      CP001/2         1.234 kWh   49.8 kW   63 %    0.61 EUR\n"),
            "{line}"
        );
        assert_eq!(printed(&message(update.clone(), Heard::Stale), plain), "", "what is not newer is not shown");
        let json = Style { json: true, color: false };
        assert_eq!(printed(&message(update.clone(), Heard::Stale), json), format!("{update}\n"), "raw is raw");
    }

    #[test]
    fn a_snapshot_is_a_line_for_each_resource() {
        let data = json!({"chargers": [{"charger_id": "CP001", "status": "available",
            "connectors": [{"connector_id": 1, "status": "available"}, {"connector_id": 2, "status": "charging"}]}],
            "sessions": [], "commands": [{"command_id": "c", "charger_id": "CP001", "kind": "reset", "state": "sent"}]});
        let snapshot = json!({"type": "snapshot", "topic": "fleet", "upto": 1, "generation": 1, "data": data});
        let lines = printed(&message(snapshot, Heard::News), Style { json: false, color: false });
        assert!(lines.contains("charger  available   CP001        1 available · 2 charging\n"), "{lines}");
        assert!(lines.contains("command  sent        CP001        reset\n"), "{lines}");
    }
}
