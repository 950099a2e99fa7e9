//! The floor: what a loop of `send` over all sockets costs, and nothing else.
//!
//! It lets its clients in with canned answers. Then the last one, which is the conductor, makes it send one frame, as
//! long as an activity of Rollcall's, to everyone, for each change that it names by four bytes.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

pub fn run(clients: usize) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut streams = Vec::with_capacity(clients);
    for _ in 0..clients {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")?;
        stream.write_all(&frame("0{}"))?;
        stream.write_all(&frame("40{}"))?;
        stream.write_all(&frame(r#"42["activities",[]]"#))?;
        streams.push(stream);
    }
    let (mut conductor, _) = listener.accept()?;
    let mut game = [0; 4];
    while conductor.read_exact(&mut game).is_ok() {
        let game = u32::from_be_bytes(game);
        let activity = format!(
            r#"42["activity",{{"user_id":1000,"socket_id":"ekI1Av1MzIkAjLwBAAAB","state":"PLAYING","game_id":{game},"since":1795491822873,"seq":1000}}]"#
        );
        let activity = frame(&activity);
        for stream in &mut streams {
            stream.write_all(&activity)?;
        }
    }
    Ok(())
}

fn read_head(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => head.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(())
}

fn frame(text: &str) -> Vec<u8> {
    let mut frame = match text.len() {
        length @ 0..126 => vec![0x81, length as u8],
        length => {
            let [high, low] = (length as u16).to_be_bytes();
            vec![0x81, 126, high, low]
        }
    };
    frame.extend_from_slice(text.as_bytes());
    frame
}
