import { io } from 'socket.io-client';

const socket = io('http://localhost:3000');

// Envoi d'un message
socket.emit('message', { text: 'Hello world!' });

// Réception d'un message
socket.on('message', (msg) => {
  console.log('Message reçu :', msg);
});
