DROP TABLE read_marks;
DROP TABLE chat_members;
DROP TABLE chats;
