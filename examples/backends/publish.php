<?php // Publishes a message, and asks a device something. See README.md.

function api(string $question, array $body): array
{
    $http = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => ['Authorization: Bearer ' . getenv('BARO_KEY'), 'Content-Type: application/json'],
        'content' => json_encode($body),
        'ignore_errors' => true, // a refusal has a body, too
    ]]);
    return json_decode(file_get_contents(getenv('BARO_URL') . "/api/v1/$question", false, $http), true);
}

print_r(api('publish', ['channel' => 'greetings', 'data' => 'Hello, 김 "Kim"']));
print_r(api('call', ['user' => 'door-7', 'method' => 'open', 'data' => ['for' => '5s']]));
