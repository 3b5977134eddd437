"""Claims: the step that every slot begins with, what waits for people, and the mails."""
