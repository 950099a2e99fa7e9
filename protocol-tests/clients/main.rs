use serde_json::Value;
use std::{env, error::Error};
use tungstenite::{ClientRequestBuilder, Message, connect};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("URL")?.replacen("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket";
    let request =
        ClientRequestBuilder::new(url.parse()?).with_header("X-Api-Key", env::var("KEY")?);
    let (mut socket, _) = connect(request)?;
    loop {
        let text = socket.read()?.into_text()?;
        if text.starts_with('0') {
            socket.send(Message::text("40"))?; // the session is open: join the namespace /
        } else if text == "2" {
            socket.send(Message::text("3"))?; // a ping
        } else if text.starts_with("40") {
            let report = r#"420["set-activity",{"state":"PLAYING","game_id":42}]"#;
            socket.send(Message::text(report))?; // joined: an event, to be acknowledged as 0
        } else if let Some(json) = text.strip_prefix("430") {
            let answer: Value = serde_json::from_str(json)?;
            println!("{}", answer[0]["status"].as_str().unwrap_or("?"));
        } else if let Some(json) = text.strip_prefix("42") {
            let event: Value = serde_json::from_str(json)?;
            let (name, told) = (&event[0], &event[1]);
            if name == "activities" {
                println!("known: {}", told.as_array().map_or(0, Vec::len));
            } else if name == "activity" {
                let state = told["state"].as_str().unwrap_or("?");
                println!("user {}: {state} {}", told["user_id"], told["game_id"]);
            }
        }
    }
}
