import { io } from "socket.io-client";

const socket = io("ws://localhost:3000"); // Socket.IO 서버에 연결

// "hello_from_client" 이벤트를 듣고 있는 소켓에 메세지 보내기
socket.emit("hello_from_client", "this is message for client");

// "hello_from_server" 이벤트로 메세지가 오면 함수 실행(on 리스닝)
socket.on("hello_from_server", (message) => {
	console.log(message); // 서버로 부터 온 메세지
});
